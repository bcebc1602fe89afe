"""What each event does, to whom, and to what is newer than it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from idp.models import Identity
from logout_app.models import LogoutDelivery, ReceivedSignal
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.gtr.support import lives, make_federated_user
from tests.protocol.shared_signals.support import REVOKED, SSF
from tests.support.factories import make_application, make_connection, make_session
from tests.support.oauth import answer_of, authorize, refresh, tokens_for
from tests.support.upstreams.scripted_transmitter import CAEP, RISC

pytestmark = pytest.mark.django_db
OFFLINE = "openid offline_access"


@pytest.fixture
def app():
    return make_application(backchannel_logout_uri="https://app.example/bc")


@pytest.fixture
def ben(connection):
    return make_session(make_federated_user(connection, "ben", "ben@acme.example"))


def stale(session):
    return SSOSession.objects.get(pk=session.pk).is_stale


def received():
    return ReceivedSignal.objects.latest("pk")


@pytest.mark.spec("OpenID CAEP 1.0", "3.1", "session-revoked ends the sessions of the subject")
def test_session_revoked_ends_the_sessions_and_leaves_offline_tokens_and_other_people(pusher, ann, app, ben):
    first, second = make_session(ann, app), make_session(ann)
    bound, offline = tokens_for(first, app), tokens_for(second, app, scope=OFFLINE)
    assert pusher.event(REVOKED).status_code == 202
    assert not lives(first)
    assert not lives(second)
    assert lives(ben)
    assert refresh(app, bound["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(app, offline["refresh_token"]).status_code == 200
    ended = SSOSession.objects.get(pk=first.pk)
    assert (ended.end_initiator, ended.end_actor) == ("shared-signal", "upstream:acme")
    assert (received().effect, received().sessions, received().sub) == ("end_sessions", 2, ann.user_id)
    assert received().event_id == LogoutDelivery.objects.filter(session=first).first().event_id
    line = SessionEvent.objects.get(type="signal_received")
    assert (line.sub, line.data["type"], line.data["sessions"]) == (ann.user_id, "session-revoked", 2)


@pytest.mark.parametrize("name", ["account-disabled", "account-purged", "credential-compromise"])
def test_these_end_everything_of_the_person_also_offline_tokens(pusher, ann, app, ben, name):
    session = make_session(ann)
    offline = tokens_for(session, app, scope=OFFLINE)
    bens = tokens_for(ben, app, scope=OFFLINE)
    assert pusher.event(f"{RISC}{name}", event={"credential_type": "password"}).status_code == 202
    assert not lives(session)
    assert refresh(app, offline["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(app, bens["refresh_token"]).status_code == 200
    proved_before = make_session(ann, auth_time=timezone.now() - timedelta(seconds=20))
    assert answer_of(authorize(proved_before, app, prompt="none"))["error"] == "login_required"


def test_of_a_person_who_comes_in_elsewhere_too_only_what_began_here_ends(pusher, ann, app):
    contoso = make_connection("contoso", "oidc", options={})
    identity = ann.identities.create(connection=contoso, sub="ann-there", email="ann@acme.example")
    here, there = make_session(ann), make_session(ann, identity=identity, connection=contoso)
    tokens = tokens_for(there, app, scope=OFFLINE)
    assert pusher.event(f"{RISC}account-disabled").status_code == 202
    assert not lives(here)
    assert lives(there)
    assert refresh(app, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("name", ["credential-change", "assurance-level-change", "device-compliance-change"])
def test_these_ask_for_a_new_proof_and_end_nothing(pusher, ann, app, ben, name):
    session = make_session(ann)
    bound, offline = tokens_for(session, app), tokens_for(session, app, scope=OFFLINE)
    assert pusher.event(f"{CAEP}{name}", event={"current_status": "not-compliant"}).status_code == 202
    assert lives(session, ben)
    assert stale(session)
    assert not stale(ben)
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "login_required"
    assert refresh(app, bound["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(app, offline["refresh_token"]).status_code == 200
    assert received().effect == "require_reauthentication"
    assert SessionEvent.objects.get(type="reauthentication_required").sid == session.sid


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("credential-change", {"change_type": "create", "credential_type": "fido2-roaming"}),
        ("assurance-level-change", {"change_direction": "increase"}),
        ("device-compliance-change", {"current_status": "compliant"}),
        ("risk-level-change", {"current_level": "LOW", "principal": "USER"}),
    ],
)
def test_what_became_better_is_noted_only(pusher, session, name, event):
    assert pusher.event(f"{CAEP}{name}", event=event).status_code == 202
    assert lives(session)
    assert not stale(session)
    assert received().effect == "note"
    assert " is " in received().reason


def test_a_high_risk_ends_sessions(pusher, session):
    assert (
        pusher.event(f"{CAEP}risk-level-change", event={"current_level": "HIGH", "principal": "USER"}).status_code
        == 202
    )
    assert not lives(session)


def test_claims_that_changed_refresh_the_groups_that_the_event_tells(pusher, ann, session):
    event = {"claims": {"groups": ["staff", "ops"], "email": "other@acme.example"}}
    assert pusher.event(f"{CAEP}token-claims-change", event=event).status_code == 202
    identity = Identity.objects.get(sub="ann")
    assert identity.profile["groups"] == ["staff", "ops"]
    assert identity.email == "ann@acme.example"
    assert lives(session)
    assert not stale(session)


def test_claims_that_changed_without_groups_wait_for_a_new_sign_in_which_brings_them(pusher, session):
    assert pusher.event(f"{CAEP}token-claims-change", event={"claims": {"role": "ro-admin"}}).status_code == 202
    assert stale(session)


def test_a_connection_may_say_that_an_event_does_something_else(pusher, connection, ann, session, app):
    connection.options["shared_signals"]["events"] = {
        "session-revoked": "note",
        f"{CAEP}device-compliance-change": "end_everything",
    }
    connection.save()
    assert pusher.event(REVOKED).status_code == 202
    assert lives(session)
    offline = tokens_for(session, app, scope=OFFLINE)
    assert pusher.event(f"{CAEP}device-compliance-change", event={"current_status": "not-compliant"}).status_code == 202
    assert not lives(session)
    assert refresh(app, offline["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "uri", ["https://schemas.example/mine", f"{CAEP}session-established", f"{RISC}account-enabled"]
)
def test_events_that_nobody_here_acts_on_are_accepted_and_noted(pusher, session, uri):
    assert pusher.event(uri).status_code == 202
    assert lives(session)
    assert received().effect == "note"


@pytest.mark.parametrize("name", [REVOKED, f"{RISC}account-disabled"])
def test_an_event_that_is_older_than_the_sign_in_ends_nothing_newer(pusher, ann, app, name):
    now = timezone.now()
    before = make_session(ann, auth_time=now - timedelta(hours=2))
    after = make_session(ann, auth_time=now - timedelta(minutes=10))
    tokens = tokens_for(after, app, scope=OFFLINE)
    happened = int((now - timedelta(hours=1)).timestamp())
    assert pusher.event(name, event={"event_timestamp": happened}).status_code == 202
    assert not lives(before)
    assert lives(after)
    assert refresh(app, tokens["refresh_token"]).status_code == 200


def test_an_old_event_makes_nothing_newer_stale(pusher, ann):
    after = make_session(ann, auth_time=timezone.now() - timedelta(minutes=10))
    happened = int((timezone.now() - timedelta(hours=1)).timestamp())
    assert pusher.event(f"{CAEP}credential-change", event={"event_timestamp": happened}).status_code == 202
    assert not stale(after)


def test_an_event_that_tells_milliseconds_is_understood(pusher, ann):
    before = make_session(ann, auth_time=timezone.now() - timedelta(hours=2))
    after = make_session(ann, auth_time=timezone.now() - timedelta(minutes=10))
    happened = int((timezone.now() - timedelta(hours=1)).timestamp() * 1000)
    assert pusher.event(REVOKED, event={"event_timestamp": happened}).status_code == 202
    assert not lives(before)
    assert lives(after)


def test_an_event_of_the_future_ends_what_is_there_now_and_nothing_later(pusher, session, ann):
    later = int((timezone.now() + timedelta(days=3)).timestamp())
    assert pusher.event(f"{RISC}account-disabled", event={"event_timestamp": later}).status_code == 202
    assert not lives(session)
    ann.refresh_from_db()
    assert ann.revoked_before <= timezone.now()


def test_an_application_that_hears_of_ends_upstream_hears_of_these(pusher, ann):
    listens = {"backchannel_logout_initiators_mode": "custom", "backchannel_logout_initiators": ["idp-logout"]}
    hears = make_application("Hears", backchannel_logout_uri="https://hears.example/bc", **listens)
    listens["backchannel_logout_initiators"] = ["rp-logout"]
    deaf = make_application("Deaf", backchannel_logout_uri="https://deaf.example/bc", **listens)
    make_session(ann, hears, deaf)
    assert pusher.event(REVOKED).status_code == 202
    assert LogoutDelivery.objects.get(application=hears).channel == "backchannel"
    assert LogoutDelivery.objects.get(application=deaf).last_reason == "it does not listen to idp-logout"


@pytest.mark.spec(SSF, "3.4", "A complex subject with a session means that session only")
def test_a_complex_subject_ends_the_session_that_it_names(pusher, transmitter, ann):
    this, other = make_session(ann, upstream_sid="sid-1"), make_session(ann, upstream_sid="sid-2")
    subject = {
        "format": "complex",
        "user": transmitter.subject("ann"),
        "session": {"format": "opaque", "id": "sid-1"},
    }
    assert pusher.event(REVOKED, sub_id=subject).status_code == 202
    assert not lives(this)
    assert lives(other)


def test_a_session_whose_id_upstream_is_not_known_may_be_the_one_and_ends(pusher, transmitter, ann):
    unknown = make_session(ann)
    subject = {
        "format": "complex",
        "user": transmitter.subject("ann"),
        "session": {"format": "opaque", "id": "sid-1"},
    }
    assert pusher.event(REVOKED, sub_id=subject).status_code == 202
    assert not lives(unknown)
