"""F-C01, F-P11: one process's clock is ten minutes wrong. Everybody else's is right."""

from __future__ import annotations

import time

import pytest
import requests
from django.conf import settings

from logout_app.models import LogoutDelivery
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import leave, reconcile, wait_for_delivered
from tests.support.factories import make_application

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = "tests.support.wrong_clock"
OUT = "https://app.example/out"
DATABASE_HAS_A_CLOCK = settings.DATABASES["default"]["ENGINE"] != "idp.database.sqlite"
# Where nobody has another clock, nobody sees which way one's own is wrong.
SHIFTS = pytest.mark.parametrize(
    "seconds", [pytest.param(-600, marks=pytest.mark.postgresql), 600], ids=["behind", "ahead"]
)


@SHIFTS
def test_a_worker_whose_clock_is_wrong_delivers_as_soon_and_tries_again_as_soon(
    installation, application, receiver, seconds
):
    """Its tokens carry its own time, so applications that look at `iat` refuse them. Its log tells the administrator."""
    receiver.behave(app4="503")
    worker = installation.worker(application=WRONG, CLOCK_OFF=str(seconds))
    began = time.time()
    sign_out(sign_in(*[application(f"app{number}") for number in range(5)]))
    wait_for_delivered(4, 30)
    receiver.behave(app4="200")
    wait_for_delivered(5, 30)
    assert all(abs(token["iat"] - began - seconds) < 60 for token in receiver.tokens())
    reconcile(receiver, 5)
    assert ("logout.drain.clock_is_wrong" in worker.text) == DATABASE_HAS_A_CLOCK


def test_workers_whose_clocks_are_twenty_minutes_apart_lose_nothing(installation, application, receiver):
    """Each takes the other's leases for ended ones or endless ones: an application may hear twice, its first answer counts."""
    receiver.behave(app0="slow:0.5")
    apps = [application(f"app{number}") for number in range(3)]
    for seconds in (-600, 600):
        installation.worker(application=WRONG, CLOCK_OFF=str(seconds))
    sign_out(*[sign_in(*apps) for _ in range(30)])
    wait_for_delivered(90, 60)
    reconcile(receiver, 90)


@SHIFTS
def test_a_web_server_whose_clock_is_wrong_says_so_and_what_it_plans_is_sent_at_once(
    installation, application, receiver, seconds
):
    app = make_application("App", backchannel_logout_uri=receiver.url("app"), post_logout_redirect_uris=OUT)
    session = sign_in(app)
    installation.worker()
    installation.web(application=f"{WRONG}:application", CLOCK_OFF=str(seconds))
    address = f"http://localhost:{installation.port}"
    if DATABASE_HAS_A_CLOCK:
        status = requests.get(f"{address}/readyz", timeout=20).json()
        assert status["status"] == "degraded"
        assert "clock" in str(status)
    answer = leave(address, session.raw_cookie, app.client_id, OUT)
    assert (answer.status_code, answer.headers["Location"]) == (302, OUT)
    wait_for_delivered(1, 30)
    planned = LogoutDelivery.objects.get().created_at.timestamp()
    assert abs(planned - time.time() - seconds) < 60
    reconcile(receiver, 1)
