"""A failed sign-in upstream: the page has a reference, by which an administrator finds what happened in the audit trail."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from idp.connections import registry
from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.models import Connection
from idp.tenants import configuration
from sessions_app.audit.events import EventType, strange
from sessions_app.models import SessionEvent
from sessions_app.signin import failures
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, sign_in_by_form
from tests.support.upstream import SaysSo, come_back, depart

pytestmark = pytest.mark.django_db
SHOWN = re.compile(r"[A-Z2-9]{4}-[A-Z2-9]{4}")
KIND = "upstream_sign_in_failed"


def reference_on(response: HttpResponse) -> str:
    found = re.search(r'class="reference">[^<]*<code>([^<]+)</code>', response.content.decode())
    assert found, response.content.decode()
    assert SHOWN.fullmatch(found[1])
    return found[1]


def _goes_out(acme: SaysSo) -> HttpResponse:
    acme.departing = UpstreamFault("Acme: discovery timed out", status=504)
    return Client().get("/login/upstream/Acme")


def _proves_nothing(acme: SaysSo) -> HttpResponse:
    acme.error = UpstreamFault("Acme: the nonce\n is \x00wrong")
    client = Client()
    return come_back(client, depart(client))


def _says_no(acme: SaysSo) -> HttpResponse:
    acme.error = UpstreamRefused("You are not assigned.", detail="access_denied: not assigned")
    client = Client()
    return come_back(client, depart(client))


def _nobody_waits(acme: SaysSo) -> HttpResponse:
    return come_back(Client(), "unknown")


def _is_silent(acme: SaysSo) -> HttpResponse:
    Connection.objects.update(silent_since=timezone.now())
    configuration.bump()
    return Client().get("/login/upstream/Acme")


WAYS: dict[str, tuple[Callable[[SaysSo], HttpResponse], str, str]] = {
    "the way out fails": (_goes_out, "failed", "discovery timed out"),
    "the answer proves nothing": (_proves_nothing, "failed", "the nonce is wrong"),
    "the provider says no": (_says_no, "refused", "not assigned"),
    "nobody waits for the answer": (_nobody_waits, "lost", "not known here"),
    "the provider is silent": (_is_silent, "silent", "did not answer lately"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_page_of_a_failed_sign_in_has_a_reference_that_the_audit_knows(acme: SaysSo, way: str) -> None:
    """With the reason, which the page does not have."""
    fails, outcome, reason = WAYS[way]
    with capture_logs() as logs:
        response = fails(acme)
    reference = reference_on(response)
    line = SessionEvent.objects.get(type=KIND)
    assert line.data["reference"] == reference
    assert line.data["outcome"] == outcome
    assert reason in line.data["reason"]
    assert line.connection == ("" if outcome == "lost" else "Acme")
    assert line.ip
    facts = [name for name in ("connection", "ip") if getattr(line, name)]
    assert strange(EventType.UPSTREAM_SIGN_IN_FAILED, facts, line.data) == []
    assert [entry for entry in logs if entry.get("reference") == reference]


def test_a_directory_that_cannot_be_asked_gives_a_reference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def verify(self, *given: Any) -> None:
            raise UpstreamFault("dc1.corp.example: connection refused")

    monkeypatch.setitem(registry.PASSWORD_PROTOCOLS, "ad", Away())  # type: ignore[arg-type]
    make_connection("Corp", "ad")
    body = sign_in_by_form(csrf_client(), "mary").content.decode()
    reference = re.search(r"Reference: (\S{9})", body)
    assert reference
    line = SessionEvent.objects.get(type=KIND)
    assert (line.data["reference"], line.connection) == (reference[1], "Corp")
    assert "dc1.corp.example" in line.data["reason"]
    assert "dc1.corp.example" not in body


@pytest.mark.parametrize("written", [str, str.lower, lambda text: text.replace("-", ""), lambda t: t.replace("-", " ")])
def test_an_administrator_finds_the_line_by_what_somebody_read_out(acme: SaysSo, written: Callable[[str], str]) -> None:
    other, wanted = reference_on(_says_no(acme)), reference_on(_proves_nothing(acme))
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    found = admin.get("/admin/sessions_app/sessionevent/", {"q": written(wanted)}).context["lines"]
    assert [shown["line"].row.data["reference"] for shown in found] == [wanted]
    assert other != wanted


def test_the_reason_is_of_bounded_length(acme: SaysSo) -> None:
    acme.error = UpstreamFault("x" * 10_000)
    client = Client()
    come_back(client, depart(client))
    assert len(SessionEvent.objects.get(type=KIND).data["reason"]) == failures.LONGEST_REASON


def test_strangers_cannot_fill_the_audit_trail(acme: SaysSo, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many lines of one network and of all; each page still has its reference, which the log knows."""
    monkeypatch.setattr(failures, "LINES_OF_ONE", 2)
    monkeypatch.setattr(failures, "LINES_OF_ALL", 3)
    with capture_logs() as logs:
        references = [reference_on(come_back(Client(), "unknown")) for _ in range(4)]
    assert SessionEvent.objects.filter(type=KIND).count() == 2
    assert [entry["reference"] for entry in logs if entry["event"] == "sign_in.lost"] == references
    for network in ("198.51.100.1", "198.51.100.2"):
        come_back(Client(REMOTE_ADDR=network), "unknown")
    assert SessionEvent.objects.filter(type=KIND).count() == 3


def test_the_next_window_has_lines_again() -> None:
    budget, at = failures._Budget(), timezone.now()
    for _ in range(failures.LINES_OF_ONE):
        assert budget.take("198.51.100.1", at)
    assert not budget.take("198.51.100.1", at)
    assert budget.take("198.51.100.2", at)
    assert budget.take("198.51.100.1", at + timedelta(seconds=failures.WINDOW))
