"""Redis as operators run it: a user with the rights that docs/operations.md says and no other, without CONFIG, over TLS, behind
Sentinels. All that Curfew asks of it, by one worker with its beat and by our own requests."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import kombu
import pytest
import redis as redis_client
import trustme
from django.conf import settings as django_settings
from django.utils import timezone

from idp.models import Application
from idp.redis import clients as redis_clients
from idp.redis import health
from idp.redis import trial as redis_trial
from logout_app.delivery import readiness
from logout_app.models import DrainReport
from tests.faults.conftest import wait_for_delivered
from tests.protocol.signin.test_allauth_contract import code, give_code, with_totp
from tests.support.factories import make_user
from tests.support.oauth import request_params
from tests.support.processes import Installation
from tests.support.receiver import wait_until
from tests.support.sentinels import Sentinels
from tests.support.servers import start_redis
from tests.support.sign_in import csrf_client, sign_in_by_form
from tests.support.tls_front import TlsFront

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ADMINISTRATOR, SECRET = "of-the-administrator", "a:secret/of?the@user"
# Of redis-py's and kombu's own accord, on ways that need an accident; SELECT of another database than 0.
SELDOM = {"exists", "pexpire", "rpop", "select", "unsubscribe", "unwatch"}


def rights(db: int = 0) -> list[str]:
    """The rules of the page's line, for another number of the database if one says so."""
    line = re.search(r"^ACL SETUSER curfew on >PASSWORD (.*)$", PAGE.read_text(), re.M)
    assert line, "docs/operations.md has no ACL SETUSER line"
    return [rule.replace("&/0.", f"&/{db}.") for rule in line[1].split()]


def use(url: str, settings: Any) -> None:
    """In this process."""
    settings.REDIS_URL = url
    cache = {**django_settings.CACHES["default"], "LOCATION": [url]}
    settings.CACHES = {"default": cache}
    readiness.redis.forget()


def person(name: str) -> str:
    """Somebody with an authenticator app; what they type."""
    address = f"{name}@fabrikamcorp.com"
    with_totp(make_user(address))
    return address


def plays(app: Application, address: str, told: int) -> None:
    """A sign-in with a code that is noted as used, a sign-out, a delivery, a task that comes through the broker."""
    begun, client = timezone.now(), csrf_client()
    sign_in_by_form(client, address, next=f"/authorize?{urlencode(request_params(app))}")
    for _ in range(2):  # its half minute may end on the way
        answer = give_code(client, code())
        if answer.status_code == 302:
            break
    assert "code=" in client.get(answer["Location"])["Location"]
    assert client.get("/v2/logout", {"client_id": app.client_id}).status_code == 302
    wait_for_delivered(told)
    wait_until(lambda: last_task() > begun, 90, "no task ran")
    assert readiness.redis() == ""


def restores_what_a_worker_left(url: str) -> None:
    """Messages that were taken and neither done nor given back come again."""
    broker, tls, options = redis_clients.broker(url)
    told = options | {"visibility_timeout": 0}
    with kombu.Connection(broker, ssl=tls or False, transport_options=told) as connection:
        queue = connection.SimpleQueue("celery")
        # A call of a task: our transport puts everything else away.
        queue.put([[], {}, {}], headers={"task": "idp.tasks.rotate_signing_keys", "id": "1"})
        queue.get(timeout=10).requeue()
        queue.get(timeout=10)
        queue.consumer.channel.qos.restore_visible()
        queue.get(timeout=10).ack()
        queue.clear()
        queue.close()


def refused(found: Iterable[dict[bytes, bytes]]) -> list[bytes]:
    """By ACL LOG, but for redis-py's own name and its wish for notices."""
    return [entry[b"object"] for entry in found if entry[b"object"] != b"client"]


def last_task() -> datetime:
    found = [row.seen_at - timedelta(seconds=row.idle_for) for row in DrainReport.objects.exclude(idle_for=None)]
    return max(found, default=datetime.min.replace(tzinfo=UTC))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[redis_client.Redis, int]]:
    """A Redis that has no CONFIG, with the page's user; the administrator's client and the port."""
    process, url = start_redis(
        tmp_path / "guarded", more=["--requirepass", ADMINISTRATOR, "--rename-command", "CONFIG", ""]
    )
    port = urlsplit(url).port or 0
    with redis_client.Redis("127.0.0.1", port, password=ADMINISTRATOR) as administrator:
        administrator.execute_command("ACL", "SETUSER", "curfew", "on", f">{SECRET}", *rights())
        yield administrator, port
    process.kill()
    process.wait()


def test_the_user_of_the_page_may_do_all_that_curfew_does_over_tls_without_config(
    guarded: Any, tmp_path: Path, application: Callable[..., Application], settings: Any, caplog: Any
) -> None:
    administrator, port = guarded
    tls, authority = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with TlsFront(tls, port) as front:
        url = f"rediss://curfew:{quote(SECRET, safe='')}@localhost:{front.port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
        use(url, settings)
        redis_trial.try_once(url)
        with Installation(tmp_path / "i", redis_url=url) as installation:
            worker = installation.worker("-B", "-s", str(tmp_path / "calendar"))
            plays(application(), person("mary"), 1)
            assert health.eviction() == health.KEEPS_ALL  # by INFO
            assert worker.terminate(within=20) == 0
        restores_what_a_worker_left(url)
    assert "logout.bell" not in caplog.text + worker.text
    assert refused(administrator.execute_command("ACL", "LOG")) == []
    used = {name.removeprefix("cmdstat_").partition("|")[0] for name in administrator.info("commandstats")}
    granted = {rule[1:].partition("|")[0] for rule in rights() if rule.startswith("+")}
    assert granted - used <= SELDOM
    with redis_client.Redis("127.0.0.1", port, username="curfew", password=SECRET) as user:
        for command in (
            "KEYS *",
            "FLUSHALL",
            "GET of-another",
            "PUBLISH of-another 1",
            "ACL LIST",
            "SUBSCRIBE of-another",
        ):
            with pytest.raises(redis_client.exceptions.NoPermissionError):
                user.execute_command(*command.split())


def test_behind_sentinels_that_user_is_served_before_and_after_a_failover(
    tmp_path: Path, application: Callable[..., Application], settings: Any
) -> None:
    app = application()
    with (
        Sentinels(tmp_path / "s", "curfew", rights(2)) as own,
        Installation(tmp_path, redis_url=own.url) as installation,
    ):
        use(own.url, settings)
        worker = installation.worker("-B", "-s", str(tmp_path / "calendar"))
        plays(app, person("mary"), 1)
        own.fail_over()
        wait_until(lambda: "logout.bell.heard_again" in worker.text, 60, "the drain did not subscribe again")
        readiness.redis.forget()
        plays(app, person("ann"), 2)
        assert worker.process.poll() is None
        assert refused(own.ask(own.replica, "ACL", "LOG")) == []
