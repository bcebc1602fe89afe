"""The door ends sessions set-based, once, and plans who is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.protocol.initiators import Initiator
from logout_app.ending.end import Ended, Selection, end_sessions
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import RefreshTokenFamily, SessionEvent, SSOSession
from tests.support.factories import make_application, make_session, make_user

pytestmark = pytest.mark.django_db


def end(selection, initiator=Initiator.RP_LOGOUT, *, offline_tokens=False, page=None, at=None) -> Ended:
    return end_sessions(
        selection,
        initiator=initiator,
        actor="user",
        at=at or timezone.now(),
        offline_tokens=offline_tokens,
        page=page,
    )


def make_family(user, application, session=None, *, offline=False):
    return RefreshTokenFamily.objects.create(
        user=user, application=application, session=session, offline=offline, auth_time=timezone.now()
    )


def rows(event):
    return sorted(LogoutDelivery.objects.filter(event=event).values_list("client_id", "channel", "sid", "sub"))


def test_ends_one_session_and_tells_each_application_that_joined_it_and_has_a_back_channel():
    first = make_application("First", backchannel_logout_uri="https://first.example/bc")
    second = make_application("Second", backchannel_logout_uri="https://second.example/bc")
    silent = make_application("Silent")
    make_application("Stranger", backchannel_logout_uri="https://stranger.example/bc")
    session = make_session(make_user(), first, second, silent)

    ended = end(Selection.session(session.pk))

    session.refresh_from_db()
    assert ended.session_pks == [session.pk]
    assert (session.end_initiator, session.end_actor) == ("rp-logout", "user")
    assert session.ended_at is not None
    sub = session.user.user_id
    assert rows(ended.event) == [
        ("first", "backchannel", session.sid, sub),
        ("second", "backchannel", session.sid, sub),
        ("silent", "none", session.sid, sub),
    ]
    assert ended.told.deliveries == 2
    assert (ended.event.sessions_ended, ended.event.user_id, ended.event.sub) == (1, session.user_id, sub)


@pytest.mark.postgresql
def test_one_session_costs_one_statement_on_postgresql(django_assert_num_queries):
    session = make_session(make_user(), make_application("App", backchannel_logout_uri="https://app.example/bc"))
    with django_assert_num_queries(1):
        end(Selection.session(session.pk))


@pytest.mark.postgresql
@pytest.mark.parametrize("shows_page", [True, False])
def test_one_statement_writes_what_the_longer_way_writes(monkeypatch, shows_page):
    of_these = {"backchannel_logout_initiators_mode": "custom", "backchannel_logout_initiators": ["rp-logout"]}
    of_others = {**of_these, "backchannel_logout_initiators": ["password-changed"]}
    applications = [
        make_application(
            "Both", backchannel_logout_uri="https://a.example/bc", frontchannel_logout_uri="https://a.example"
        ),
        make_application("Frame", frontchannel_logout_uri="https://b.example/"),
        make_application("Hears", backchannel_logout_uri="https://c.example/bc", **of_these),
        make_application("Deaf", backchannel_logout_uri="https://d.example/bc", **of_others),
    ]
    user, at = make_user(), timezone.now()

    def written() -> list[object]:
        session = make_session(user, *applications)
        ended = end(Selection.session(session.pk), page=session.pk if shows_page else None, at=at)
        session.refresh_from_db()
        event = {
            name: value for name, value in LogoutEvent.objects.values().get(pk=ended.event.pk).items() if name != "id"
        }
        trail = SessionEvent.objects.filter(sid=session.sid, data={"event": ended.event.pk})
        return [
            (session.ended_at, session.end_initiator, session.end_actor, ended.session_pks == [session.pk]),
            ended.told,
            event,
            {name: getattr(ended.event, name) for name in event},
            [(client_id, channel, sid == session.sid, sub) for client_id, channel, sid, sub in rows(ended.event)],
            list(
                LogoutDelivery.objects.filter(event=ended.event).values_list("state", "due_at", "created_at").distinct()
            ),
            list(trail.values_list("type", "sub", "client_id", "connection", "initiator", "actor")),
        ]

    at_once = written()
    monkeypatch.setattr("logout_app.ending.end._end_at_once", lambda *_: None)
    assert at_once == written()


@pytest.mark.postgresql
def test_one_statement_in_a_transaction_that_is_rolled_back_leaves_nothing(monkeypatch):
    rung = []
    monkeypatch.setattr("logout_app.delivery.bell.ring", lambda: rung.append(1))
    session = make_session(make_user(), make_application("App", backchannel_logout_uri="https://app.example/bc"))
    with transaction.atomic():
        assert end(Selection.session(session.pk)).told.deliveries == 1
        transaction.set_rollback(True)
    session.refresh_from_db()
    assert session.ended_at is None
    assert not LogoutEvent.objects.exists()
    assert not rung


def test_writes_one_audit_line_for_each_session_that_ended():
    user = make_user()
    sessions = [make_session(user) for _ in range(3)]
    ended = end(Selection.user(user.pk))
    lines = SessionEvent.objects.filter(type="ended")
    assert {line.sid for line in lines} == {s.sid for s in sessions}
    assert {(line.sub, line.initiator, line.actor, line.connection) for line in lines} == {
        (user.user_id, "rp-logout", "user", "FabrikamAD")
    }
    assert all(line.data == {"event": ended.event.pk} for line in lines)


def test_a_second_call_ends_nothing_and_writes_nothing():
    session = make_session(make_user(), make_application(backchannel_logout_uri="https://a.example/bc"))
    end(Selection.session(session.pk))
    again = end(Selection.session(session.pk), Initiator.SESSION_REVOKED)
    assert again == Ended(None, [])
    session.refresh_from_db()
    assert session.end_initiator == "rp-logout"
    assert LogoutEvent.objects.count() == LogoutDelivery.objects.count() == SessionEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("mode", "chosen", "initiator", "told"),
    [
        ("custom", ["rp-logout", "idp-logout"], Initiator.RP_LOGOUT, True),
        ("custom", ["rp-logout", "idp-logout"], Initiator.SESSION_EXPIRED, False),
        ("custom", ["session-expired"], Initiator.SESSION_EXPIRED, True),
        ("custom", [], Initiator.RP_LOGOUT, False),
        ("all", [], Initiator.MFA_PHONE_UNENROLLED, True),
    ],
)
def test_initiators_filter_who_is_told_but_not_what_ends(mode, chosen, initiator, told):
    """Auth0's `selected_initiators`: all, or those that the application chose."""
    application = make_application(
        backchannel_logout_uri="https://a.example/bc",
        backchannel_logout_initiators_mode=mode,
        backchannel_logout_initiators=chosen,
    )
    assert application.hears_of(initiator) is told
    session = make_session(make_user(), application)
    ended = end(Selection.session(session.pk), initiator)
    assert ended.session_pks == [session.pk]
    row = LogoutDelivery.objects.get()
    assert row.state == ("pending" if told else "not_told")
    assert row.last_reason == ("" if told else f"it does not listen to {initiator}")


def test_front_channels_are_planned_only_when_a_page_follows():
    application = make_application(frontchannel_logout_uri="https://a.example/out")
    user = make_user()
    without, with_page = make_session(user, application), make_session(user, application)
    ended = end(Selection.session(without.pk))
    assert rows(ended.event) == [("jwt-debugger", "none", without.sid, user.user_id)]
    assert (ended.told.deliveries, ended.told.frames) == (0, 0)
    event = end(Selection.session(with_page.pk), page=with_page.pk).event
    assert rows(event) == [("jwt-debugger", "frontchannel", with_page.sid, user.user_id)]


def test_of_many_sessions_only_the_one_whose_browser_shows_the_page_has_frames():
    application = make_application(
        frontchannel_logout_uri="https://a.example/out", backchannel_logout_uri="https://a.example/bc"
    )
    user = make_user()
    here, there = make_session(user, application), make_session(user, application)
    ended = end(Selection.user(user.pk), page=here.pk)
    told = LogoutDelivery.objects.filter(event=ended.event).values_list("session", "channel")
    assert set(told) == {(here.pk, "backchannel"), (here.pk, "frontchannel"), (there.pk, "backchannel")}
    assert (ended.told.deliveries, ended.told.frames) == (3, 1)


def test_of_a_person_the_spared_session_and_its_tokens_stay():
    user, application = make_user(), make_application()
    here, there = make_session(user), make_session(user)
    kept, gone, unbound = (make_family(user, application, session, offline=True) for session in (here, there, None))
    ended = end(Selection.user(user.pk, except_session=here.pk), Initiator.PASSWORD_CHANGED, offline_tokens=True)
    assert ended.session_pks == [there.pk]
    alive = RefreshTokenFamily.objects.filter(revoked_at=None)
    assert list(alive) == [kept]
    assert ended.event.families_revoked == len({gone, unbound})
    user.refresh_from_db()
    assert user.revoked_before is None


def test_a_whole_person_dies_with_offline_tokens_by_a_not_before_mark():
    """Global Token Revocation, deactivation: what a concurrent request commits later is dead as well."""
    user, application = make_user(), make_application()
    session = make_session(user, application)
    family = make_family(user, application, offline=True)
    at = timezone.now()
    end(Selection.user(user.pk), Initiator.IDP_LOGOUT, offline_tokens=True, at=at)
    user.refresh_from_db()
    family.refresh_from_db()
    assert user.revoked_before == at
    assert (family.revoked_at, family.revoke_reason) == (at, "idp-logout")
    assert not SSOSession.objects.get(pk=session.pk).is_alive(at)


def test_the_not_before_mark_never_moves_back():
    user = make_user()
    make_session(user)
    now = timezone.now()
    end(Selection.user(user.pk), offline_tokens=True, at=now)
    make_session(user)
    end(Selection.user(user.pk), offline_tokens=True, at=now - timedelta(seconds=5))
    user.refresh_from_db()
    assert user.revoked_before == now


@pytest.mark.spec("backchannel", "B16", "Offline refresh tokens survive a logout; others die with the session")
def test_a_logout_leaves_offline_refresh_tokens_and_kills_session_bound_ones_by_their_parent():
    user, application = make_user(), make_application()
    session = make_session(user, application)
    bound = make_family(user, application, session)
    offline = make_family(user, application, session, offline=True)
    now = timezone.now()
    end(Selection.session(session.pk), at=now)
    bound, offline = (RefreshTokenFamily.objects.get(pk=family.pk) for family in (bound, offline))
    assert not bound.is_alive(now)
    assert offline.is_alive(now)


def test_an_administrator_s_revoke_of_one_session_takes_its_offline_tokens_and_nobody_else_s():
    user, application = make_user(), make_application()
    session, other = make_session(user, application), make_session(user, application)
    mine, others = (make_family(user, application, s, offline=True) for s in (session, other))
    end(Selection.session(session.pk), Initiator.SESSION_REVOKED, offline_tokens=True)
    assert list(RefreshTokenFamily.objects.filter(revoked_at=None)) == [others]
    assert mine.pk != others.pk


def test_only_refresh_tokens_left_is_still_an_event():
    user = make_user()
    make_family(user, make_application(), offline=True)
    ended = end(Selection.user(user.pk), Initiator.IDP_LOGOUT, offline_tokens=True)
    assert ended.session_pks == []
    assert (ended.event.sessions_ended, ended.event.families_revoked, ended.event.user) == (0, 1, user)


def test_the_sweep_ends_what_is_past_a_limit_oldest_first_and_no_more_than_asked():
    user, now = make_user(), timezone.now()
    idle = make_session(user, idle_expires_at=now - timedelta(seconds=1))
    absolute = make_session(user, expires_at=now - timedelta(seconds=1))
    live = make_session(user)
    first = end(Selection.overdue(1), Initiator.SESSION_EXPIRED, at=now)
    second = end(Selection.overdue(10), Initiator.SESSION_EXPIRED, at=now)
    assert (first.session_pks, second.session_pks) == ([idle.pk], [absolute.pk])
    live.refresh_from_db()
    assert live.ended_at is None


def test_other_people_s_sessions_are_never_touched():
    mary, paul = make_user(), make_user("paul@fabrikamcorp.com")
    hers, his = make_session(mary), make_session(paul)
    ended = end(Selection.user(mary.pk), offline_tokens=True)
    assert ended.session_pks == [hers.pk]
    his.refresh_from_db()
    assert his.is_alive(timezone.now())


def test_a_mass_end_of_several_people_names_nobody():
    first, second = make_user(), make_user("paul@fabrikamcorp.com")
    pks = [make_session(first).pk, make_session(second).pk]
    ended = end(Selection.sessions(pks), Initiator.SESSION_REVOKED)
    assert (ended.event.user, ended.event.sub, ended.event.sessions_ended) == (None, "", 2)


@pytest.mark.parametrize("selection", ["session", "user"])
def test_the_number_of_statements_does_not_depend_on_sessions_and_applications(selection):
    """Logout and Global Token Revocation are constant."""

    def statements(sessions: int, applications: int) -> int:
        user = make_user(f"{selection}{sessions}@fabrikamcorp.com")
        apps = [
            make_application(f"App {selection} {sessions} {n}", backchannel_logout_uri="https://a.example/bc")
            for n in range(applications)
        ]
        rows = [make_session(user, *apps) for _ in range(sessions)]
        chosen = Selection.user(user.pk) if selection == "user" else Selection.session(rows[0].pk)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            end(chosen, offline_tokens=selection == "user", page=rows[0].pk)
        return len([q for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]])

    small, large = statements(1, 1), statements(20, 10)
    assert small == large
    assert small <= (6 if selection == "user" else 4)
