"""Applications that asked for it are told when a session goes on and must be proved again."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from django.urls import reverse
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys
from idp.models import Application
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.evidence import overdue, report
from logout_app.models import DeliveryAttempt, DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol import logout_token, reauthentication_token
from logout_app.reauthentication.require import require_reauthentication
from sessions_app.models import SSOSession
from tests.delivery.conftest import running
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
IPSIE = "IPSIE levels, February 2026"
CHANNEL = "reauthentication"


def asking(name: str = "app", **fields: Any) -> Application:
    return make_application(name, **{"reauthentication_uri": f"https://{name}.example/again", **fields})


def require(selection: Selection, **more: Any) -> list[int]:
    return require_reauthentication(selection, actor="admin:boss", at=timezone.now(), **more)


def rows() -> list[tuple[str, str, str]]:
    found = LogoutDelivery.objects.filter(channel=CHANNEL).order_by("client_id", "session")
    return list(found.values_list("client_id", "sid", "state"))


@pytest.mark.spec(IPSIE, "SL2", "Applications may be told to make the person authenticate again")
def test_it_is_a_logout_tokens_sister_that_ends_nothing(receiver: Any) -> None:
    application, mary = asking(reauthentication_uri=receiver.url("app")), make_user()
    session = make_session(mary, application)
    with running():
        began = timezone.now()
        require(Selection.session(session.pk))
        wait_until(lambda: rows() and rows()[0][2] == "delivered")
    (post,) = receiver.posts("app")
    assert post["headers"]["content-type"] == "application/x-www-form-urlencoded"
    body = parse_qs(post["body"])
    assert body.keys() == {"reauthentication_token"}
    read = jwt.decode(body["reauthentication_token"][0], KeySet.import_key_set(keys.published()), algorithms=["RS256"])
    assert read.header["typ"] == "reauthentication+jwt"
    said = read.claims
    assert (said["iss"], said["aud"], said["sid"], said["sub"]) == (
        "http://localhost:8000/",
        application.client_id,
        session.sid,
        mary.user_id,
    )
    assert said["events"].keys() == {reauthentication_token.EVENT}
    moment = said["events"][reauthentication_token.EVENT]["event_timestamp"]
    assert int(began.timestamp()) <= moment <= timezone.now().timestamp()
    assert said["exp"] - said["iat"] == logout_token.LIFETIME
    assert "nonce" not in said
    assert DeliveryAttempt.objects.get().jti == said["jti"]
    assert SSOSession.objects.get().ended_at is None


class TestTheToken:
    def test_who_does_not_answer_is_asked_again(self, receiver: Any) -> None:
        receiver.behave(app="503")
        application = asking(reauthentication_uri=receiver.url("app"))
        with running():
            require(Selection.session(make_session(make_user(), application).pk))
            wait_until(lambda: LogoutDelivery.objects.get().last_status)
        row = LogoutDelivery.objects.get()
        assert (row.state, row.last_status) == ("pending", 503)

    def test_what_was_taken_away_is_not_sent_any_more(self, receiver: Any) -> None:
        application = asking(reauthentication_uri=receiver.url("app"))
        require(Selection.session(make_session(make_user(), application).pk))
        application.reauthentication_uri = ""
        application.save()
        with running():
            wait_until(lambda: rows()[0][2] == "dropped")
        assert "no reauthentication URL" in LogoutDelivery.objects.get().last_reason
        assert receiver.posts("app") == []


class TestWhoIsTold:
    def test_those_that_asked_for_it_and_joined_once_for_each_session_that_became_stale(self) -> None:
        one, two = asking("one"), asking("two")
        others = [make_application("silent", backchannel_logout_uri="https://silent.example/bcl"), asking("elsewhere")]
        off = asking("off", enabled=False)
        mary = make_user()
        first = make_session(mary, one, others[0], off)
        second = make_session(mary, one, two)
        bens = make_session(make_user("ben@fabrikamcorp.com"), two)
        require(Selection.user(mary.pk))
        assert rows() == [("one", first.sid, "pending"), ("one", second.sid, "pending"), ("two", second.sid, "pending")]
        event = LogoutEvent.objects.get()
        assert (event.initiator, event.actor, event.user, event.sub, event.sessions_ended) == (
            "reauthentication-required",
            "admin:boss",
            mary,
            mary.user_id,
            0,
        )
        assert LogoutDelivery.objects.exclude(channel=CHANNEL).count() == 0
        assert bens.sid not in {sid for _, sid, _ in rows()}

    def test_several_people_are_nobodys_event(self) -> None:
        application = asking()
        sessions = [make_session(make_user(f"{name}@fabrikamcorp.com"), application) for name in ("ann", "ben")]
        require(Selection.connection(sessions[0].connection_id or 0))
        assert len(rows()) == 2
        assert (LogoutEvent.objects.get().user, LogoutEvent.objects.get().sub) == (None, "")

    def test_a_session_that_was_proved_since_or_has_ended_is_told_of_to_nobody(self) -> None:
        application, mary = asking(), make_user()
        session, ended = make_session(mary, application), make_session(mary, application)
        browser(ended).get("/v2/logout")
        require(Selection.user(mary.pk), until=session.auth_time.replace(year=2020))
        assert rows() == []
        require(Selection.user(mary.pk))
        assert [sid for _, sid, _ in rows()] == [session.sid]

    def test_nobody_who_asked_is_no_event(self) -> None:
        session = make_session(make_user(), make_application("silent", backchannel_logout_uri="https://a.example/b"))
        assert require(Selection.session(session.pk)) == [session.pk]
        assert not LogoutEvent.objects.exists()

    def test_an_end_tells_by_the_other_channels_only(self) -> None:
        application, mary = asking(), make_user()
        session = make_session(mary, application)
        end_sessions(
            Selection.session(session.pk),
            initiator=Initiator.SESSION_REVOKED,
            actor="admin:1",
            at=timezone.now(),
            offline_tokens=False,
        )
        row = LogoutDelivery.objects.get()
        assert (row.channel, row.state, row.last_reason) == ("none", "not_told", "it has no logout URL")


class TestItIsNoEnd:
    """What was told of a session that goes on proves nothing of its end, and is no alarm when it was not."""

    def test_a_persons_page_and_the_evidence_do_not_count_it(self) -> None:
        application, mary = asking(backchannel_logout_uri="https://app.example/bcl"), make_user()
        session = make_session(mary, application)
        require(Selection.session(session.pk))
        now = timezone.now()
        LogoutDelivery.objects.update(state=DeliveryState.DELIVERED, finished_at=now)
        end_sessions(
            Selection.session(session.pk), initiator=Initiator.SESSION_REVOKED, actor="x", at=now, offline_tokens=False
        )
        admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
        shown = admin.get(reverse("admin:idp_user_change", args=(mary.pk,))).content.decode()
        assert "is being signed out" in shown
        of_session = admin.get(reverse("admin:sessions_app_ssosession_change", args=(session.pk,))).content.decode()
        assert "app: Told after" in of_session
        asked = report.Asked(since=now - report.WINDOW, until=timezone.now())
        assert [row.delivery.channel for row in report.report(asked).rows] == ["backchannel"]

    def test_one_that_nobody_answered_is_no_incomplete_end(self) -> None:
        require(Selection.session(make_session(make_user(), asking()).pk))
        long_ago = timezone.now() - 3 * overdue.COMPLETE_WITHIN
        LogoutDelivery.objects.update(created_at=long_ago)
        assert overdue.incomplete(timezone.now()).ends == 0
        LogoutDelivery.objects.update(channel="backchannel")
        assert overdue.incomplete(timezone.now()).ends == 1
