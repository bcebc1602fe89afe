"""What is kept about somebody, for them: all of it, nothing secret, nothing of others."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.utils import timezone

from idp.models import Invitation, User
from logout_app.evidence import personal
from logout_app.models import LogoutEvent
from sessions_app.models import Consent, SecurityMail, SessionEvent
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
URL = "/account/data"
# Tables that name a person and are in no section, with the reason.
LEFT_OUT = {
    "AccessToken": "dead within hours; its family and session are told",
    "RefreshToken": "its family is told",
    "IDToken": "never stored",
    "AuthorizationCode": "lives for a minute",
    "Application": "a column of django-oauth-toolkit that is always empty",
    "LogEntry": "Django's log of the admin: what administrators did, not whom it was about",
    "EmailAddress": "allauth's copy of the address in the profile",
}


def told(person: User) -> dict:
    return json.loads("".join(personal.document(person, timezone.now())))


def test_every_table_that_names_a_person_has_its_section_or_a_reason() -> None:
    named = {
        model.__name__
        for model in apps.get_models()
        if any(
            (field.is_relation and field.related_model is User) or field.name == "sub"
            for field in model._meta.concrete_fields
        )
    }
    whose = personal.Whose(make_user())
    covered = {section.rows(whose).model.__name__ for section in personal.SECTIONS}
    assert named - covered == set(LEFT_OUT)
    assert LogEntry.__name__ in LEFT_OUT


def test_somebody_gets_what_is_about_them_and_nothing_else() -> None:
    mary, ann = make_user("mary@fabrikamcorp.com"), make_user("ann@fabrikamcorp.com")
    wiki = make_application("Wiki")
    session = make_session(mary, wiki, last_user_agent="Firefox", last_ip="203.0.113.7")
    make_session(ann, make_application("Payroll"))
    Consent.objects.create(user=mary, application=wiki, scopes=["openid"])
    LogoutEvent.objects.create(user=mary, sub=mary.user_id, initiator="admin-logout", actor=f"admin:{ann.user_id}")
    SessionEvent.objects.create(
        type="opened", sub=mary.user_id, actor=f"admin:{ann.user_id}", data={}, at=timezone.now()
    )
    found = told(mary)
    assert (found["profile"]["user_id"], found["profile"]["email"]) == (mary.user_id, "mary@fabrikamcorp.com")
    assert [(row["sid"], row["last_ip"]) for row in found["sessions"]] == [(session.sid, "203.0.113.7")]
    assert found["applications_of_sessions"][0]["application"] == "Wiki"
    assert (len(found["consents"]), len(found["sign_outs"]), len(found["audit_trail"])) == (1, 1, 1)
    text = json.dumps(found)
    for hidden in (session.cookie_hash, session.raw_cookie, mary.password, ann.user_id, "Payroll", "ann@"):
        assert hidden not in text


@pytest.mark.parametrize("actor", ["admin:auth0|boss", "operator:kim", "app:hr"])
def test_where_somebody_else_sat_who_did_it_is_not_told(actor: str) -> None:
    mary, now = make_user(), timezone.now()
    for who, ip in ((actor, "198.51.100.9"), ("user", "203.0.113.7"), ("", "203.0.113.8")):
        SessionEvent.objects.create(
            type="second_factors_reset", sub=mary.user_id, actor=who, ip=ip, user_agent=f"of {ip}", data={}, at=now
        )
    mail = {"kind": "factor_removed", "once": "1", "happened_at": now, "due_at": now}
    SecurityMail.objects.create(user=mary, data={"actor": actor, "factor": "An app"}, **mail)
    found = told(mary)
    assert {(row["ip"], row["user_agent"]) for row in found["audit_trail"]} == {
        (None, ""),
        ("203.0.113.7", "of 203.0.113.7"),
        ("203.0.113.8", "of 203.0.113.8"),
    }
    assert [row["data"] for row in found["security_mails"]] == [{"factor": "An app"}]
    assert actor not in json.dumps(found)


@pytest.mark.parametrize("proved", [True, False])
def test_who_only_says_that_an_address_is_theirs_reads_no_invitation_that_went_there(proved: bool) -> None:
    wanted, now = make_user("board@fabrikamcorp.com"), timezone.now()
    wanted.email_verified = proved
    invitation = {"connection": make_connection(), "invited_at": now, "expires_at": now}
    Invitation.objects.create(address="Board@fabrikamcorp.com", name="Ann", **invitation)
    assert bool(told(wanted)["invitations"]) is proved


def test_the_page_holds_the_newest_and_says_what_it_left_out_and_the_command_leaves_out_nothing(monkeypatch) -> None:
    monkeypatch.setattr(personal, "MOST", 3)
    mary = make_user("mary@fabrikamcorp.com")
    session = make_session(mary)
    for number in range(5):
        SessionEvent.objects.create(type="joined", sub=mary.user_id, client_id=str(number), data={}, at=timezone.now())
    page = json.loads(b"".join(browser(session).get(URL).streaming_content))
    assert [row["client_id"] for row in page["audit_trail"]] == ["4", "3", "2"]
    assert page["shortened"] == ["audit_trail"]
    out = StringIO()
    call_command("personal_data", "mary@fabrikamcorp.com", stdout=out)
    whole = json.loads(out.getvalue())
    assert (len(whole["audit_trail"]), whole["shortened"]) == (6, [])


def test_the_file_asks_for_a_fresh_proof_first() -> None:
    mary = make_user()
    fresh = browser(make_session(mary)).get(URL)
    assert fresh["Content-Disposition"].startswith("attachment")
    assert fresh["Cache-Control"] == "no-store"
    assert json.loads(b"".join(fresh.streaming_content))["profile"]["user_id"] == mary.user_id
    old = browser(make_session(mary, auth_time=timezone.now() - timedelta(hours=2))).get(URL)
    assert old.status_code == 302
    assert old["Location"].startswith("/account/reauthenticate/?next=%2Faccount%2F")


def test_an_operator_gets_it_on_the_command_line_and_is_in_the_trail() -> None:
    mary, out = make_user("mary@fabrikamcorp.com"), StringIO()
    call_command("personal_data", "mary@fabrikamcorp.com", actor="operator:kim", stdout=out)
    assert json.loads(out.getvalue())["profile"]["user_id"] == mary.user_id
    line = SessionEvent.objects.get(type="administered")
    assert (line.actor, line.sub) == ("operator:kim", mary.user_id)


def test_its_statements_do_not_grow_with_what_there_is(django_assert_num_queries) -> None:
    mary, app = make_user(), make_application("Wiki")
    make_session(mary, app)
    with django_assert_num_queries(len(personal.SECTIONS)):
        told(mary)
    for _ in range(5):
        make_session(mary, app)
    with django_assert_num_queries(len(personal.SECTIONS)):
        told(mary)
