from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings

from logout_app.delivery import bell
from logout_app.models import DeliveryAttempt, LogoutDelivery
from tests.delivery.conftest import application, receiver  # noqa: F401  the same fixtures
from tests.support.processes import Installation, redis_port
from tests.support.receiver import Receiver, wait_until
from tests.support.servers import start_redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis of this test alone: the process and its URL, which was another one's before."""
    bell._bell.cache_clear()  # it leaves alone what did not answer
    process, url = start_redis(tmp_path / "redis", redis_port())
    yield process, url
    process.kill()
    process.wait()


@pytest.fixture
def installation(tmp_path: Path, redis) -> Iterator[Installation]:
    with Installation(tmp_path, redis_url=redis[1]) as running:
        yield running


def count(state: str) -> int:
    return LogoutDelivery.objects.filter(state=state).count()


def wait_for_delivered(number: int, seconds: float = 30.0) -> None:
    try:
        wait_until(lambda: count("delivered") >= number, seconds)
    except AssertionError:
        raise AssertionError(f"{count('delivered')} of {number} delivered") from None


def reconcile(log: Receiver, planned: int) -> None:
    """Nothing is lost, and nothing is called delivered that the application has not got."""
    assert LogoutDelivery.objects.count() == planned
    assert count("delivered") + count("pending") + count("dead") == planned
    told = {(post["path"], token["sid"]) for post, token in zip(log.posts(), log.tokens(), strict=True)}
    for client_id, sid in LogoutDelivery.objects.filter(state="delivered").values_list("client_id", "sid"):
        assert (client_id, sid) in told
    jtis = [token["jti"] for token in log.tokens()]
    assert len(jtis) == len(set(jtis))
    recorded = set(DeliveryAttempt.objects.filter(outcome="delivered").values_list("jti", flat=True))
    assert recorded <= set(jtis)


def leave(address: str, cookie: str, client_id: str, return_to: str) -> requests.Response:
    """Sign out at this web server, as the browser that holds the session's cookie."""
    return requests.get(
        f"{address}/v2/logout",
        params={"client_id": client_id, "returnTo": return_to},
        cookies={settings.SSO_COOKIE_NAME: cookie},
        allow_redirects=False,
        timeout=20,
    )
