from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import uvloop
from django.utils import timezone

from idp.models import Application
from idp.protocol.initiators import Initiator
from logout_app.delivery.drain import Drain
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryAttempt, LogoutDelivery
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_session, make_user
from tests.support.receiver import Receiver, wait_until


@pytest.fixture(autouse=True)
def outbound_to_loopback(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path) as running:
        yield running


@contextmanager
def running(drain: Drain | None = None) -> Iterator[Drain]:
    """A drain in a thread of this process, as the worker runs it."""
    drain = drain or Drain()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(drain.run())
        except BaseException as error:  # noqa: BLE001  shown by the test's own thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield drain
    finally:
        drain.stop()
        thread.join(10)
    if failures:
        raise failures[0]


def sign_in(*applications: Application) -> SSOSession:
    return make_session(make_user(email=f"{timezone.now().timestamp()}@fabrikamcorp.com"), *applications)


def sign_out(*sessions: SSOSession, at: datetime | None = None) -> None:
    end_sessions(
        Selection.sessions([session.pk for session in sessions]),
        initiator=Initiator.RP_LOGOUT,
        actor="user",
        at=at or timezone.now(),
        offline_tokens=False,
    )


@pytest.fixture
def application(receiver: Receiver) -> Callable[..., Application]:
    """Makes an application whose back-channel endpoint is the receiver's path of that name."""

    def make(name: str = "app", **fields: object) -> Application:
        return make_application(name, backchannel_logout_uri=fields.pop("url", receiver.url(name)), **fields)

    return make


def states() -> list[str]:
    return list(LogoutDelivery.objects.order_by("id").values_list("state", flat=True))


def wait_for(*expected: str, seconds: float = 10.0) -> None:
    wait_until(lambda: states() == list(expected), seconds, f"{expected} expected")


def attempted(number: int = 1) -> None:
    wait_until(lambda: DeliveryAttempt.objects.count() >= number)


def make_due() -> None:
    LogoutDelivery.objects.filter(state="pending").update(due_at=timezone.now())
