"""Who may use an application, in every grant; and what becomes of somebody who may not any more."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.directory import entitlements, memberships, roles
from idp.directory.admission import is_admitted, not_admitted
from idp.models import Application, Group, Source, TenantSettings, User
from idp.tenants import configuration
from logout_app.ending import access_lost
from logout_app.models import LogoutDelivery, LogoutEvent
from logout_app.tasks import expire_sessions
from sessions_app.models import RefreshTokenFamily, SessionClient, SessionEvent, SSOSession
from sessions_app.oauth.refresh import _load as load_refresh_token
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    exchange,
    post_form,
    refresh,
    token,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def staff() -> Group:
    return memberships.group_of(None, "staff")


@pytest.fixture
def app(staff) -> Application:
    return make_application(
        "Grafana",
        access_mode="groups",
        access_groups=["staff"],
        grant_types=["authorization_code", "refresh_token", DEVICE],
        backchannel_logout_uri="https://grafana.example/logout",
        web_origins=["https://grafana.example"],
    )


@pytest.fixture
def mary(staff) -> User:
    user = make_user()
    memberships.add_person(staff, user, actor="admin:a", at=timezone.now())
    return user


def expel(user: User, group: Group) -> None:
    assert memberships.remove_person(group, user, actor="admin:a", at=timezone.now())


def test_somebody_of_the_group_is_let_in(app, mary):
    assert "id_token" in tokens_for(make_session(mary), app)


def test_somebody_else_reads_whom_to_ask_and_the_application_hears_access_denied(app):
    configuration.load_tenant()
    TenantSettings.objects.update(support_email="help@fabrikam.example")
    client = browser(make_session(make_user()))
    page = authorize(client, app)
    assert page.status_code == 403
    text = page.content.decode()
    assert "You may not use Grafana" in text
    assert "help@fabrikam.example" in text
    back = text.split('button-primary" href="')[1].split('"')[0].replace("&amp;", "&")
    answer = answer_of(client.get(back))
    assert (answer["error"], answer["state"]) == ("access_denied", "the-state")
    another = text.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert urlsplit(client.get(another).headers["Location"]).path == "/login"


def test_a_silent_request_hears_it_at_once(app):
    session = make_session(make_user())
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "access_denied"
    page = authorize(session, app, response_mode="web_message", prompt="none").content.decode()
    assert "access_denied" in page


def test_nobody_is_told_of_a_place_that_is_not_registered(app):
    page = authorize(make_session(make_user()), app, redirect_uri="https://evil.example/")
    assert page.status_code == 400
    assert "evil" not in page.content.decode()


def test_a_code_is_worth_nothing_once_the_group_is_lost(app, mary, staff):
    code = code_for(make_session(mary), app)
    expel(mary, staff)
    assert exchange(app, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_losing_the_group_kills_the_refresh_and_the_access_token_at_once(app, mary, staff, scope):
    tokens = tokens_for(make_session(mary), app, scope=scope)
    assert userinfo(tokens["access_token"]).status_code == 200
    tokens |= refresh(app, tokens["refresh_token"]).json()
    expel(mary, staff)
    answer = refresh(app, tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert userinfo(tokens["access_token"]).status_code == 401
    told = post_form("/oauth/introspect", {**credentials(app), "token": tokens["access_token"]}).json()
    assert told == {"active": False}


def test_a_device_is_refused_and_so_is_its_person(app, mary, staff):
    def start() -> dict:
        return post_form("/oauth/device/code", {**credentials(app), "scope": "openid"}).json()

    def answer(user, started):
        form = {"user_code": started["user_code"], "answer": "allow"}
        return browser(make_session(user)).post("/activate", form)

    assert answer(make_user("bob@x.example"), start()).status_code == 403
    started = start()
    answer(mary, started)
    expel(mary, staff)
    told = token(app, grant_type=DEVICE, device_code=started["device_code"])
    assert (told.status_code, told.json()["error"]) == (400, "access_denied")


def test_assigned_people_only(app, mary):
    app.access_mode = "assigned"
    app.save()
    assert authorize(make_session(mary), app).status_code == 403
    assert roles.assign(app, mary, actor="admin:a", at=timezone.now())
    tokens = tokens_for(make_session(mary), app)
    assert roles.unassign(app, mary, actor="admin:a", at=timezone.now())
    assert refresh(app, tokens["refresh_token"]).status_code == 400


def test_a_group_of_another_source_with_the_same_name_is_another_group(app, mary):
    app.access_groups = [{"connection": "Corp", "name": "staff"}]
    app.save()
    assert authorize(make_session(mary), app).status_code == 403


def test_a_mode_that_nobody_knows_admits_nobody(app, mary):
    Application.objects.update(access_mode="friends")
    configuration.bump()
    assert authorize(make_session(mary), app).status_code == 403


def test_an_application_for_everybody_costs_no_statement(mary):
    app = make_application()
    session = make_session(mary, app)
    tokens = tokens_for(session, app)
    with CaptureQueriesContext(connection) as queries:
        refresh(app, tokens["refresh_token"])
    assert not [query for query in queries if query["sql"].strip().startswith("SELECT 1 AS kind")]


def test_an_application_for_a_group_costs_no_statement_where_it_is_told_of_groups_anyway(app, mary):
    """They come with the token."""
    session = make_session(mary)
    counts = []
    for scope in ("openid", "openid groups roles"):
        tokens = tokens_for(session, app, scope=scope)
        with CaptureQueriesContext(connection) as queries:
            refresh(app, tokens["refresh_token"])
        counts.append(len([query for query in queries if "idp_membership" in query["sql"]]))
    assert counts == [2, 1]


@pytest.mark.parametrize(
    ("scope", "mappings", "are_read"),
    [
        ("openid", [], False),
        ("openid groups", [], True),
        ("openid roles", [], True),
        ("openid", [{"claim": "role", "from": "roles[0]", "in": ["id_token"]}], True),
    ],
)
def test_groups_come_with_the_token_where_they_are_told(mary, scope, mappings, are_read):
    app = make_application(claim_mappings=mappings)
    tokens = tokens_for(make_session(mary, app), app, scope=scope)
    user = load_refresh_token(tokens["refresh_token"]).family.user
    assert ("_entitlements" in vars(user)) is are_read
    assert not are_read or vars(user)["_entitlements"] == entitlements.load(user.pk)


# --- signed out there ---------------------------------------------------------------------------------------------
@pytest.fixture
def leaving(app) -> Application:
    app.access_loss_signs_out = True
    app.save()
    return app


def test_who_loses_the_group_is_signed_out_there_and_nowhere_else(leaving, mary, staff):
    other = make_application("Wiki", backchannel_logout_uri="https://wiki.example/logout")
    session = make_session(mary)
    tokens, elsewhere = tokens_for(session, leaving), tokens_for(session, other)
    expel(mary, staff)
    session.refresh_from_db()
    assert session.ended_at is None
    delivery = LogoutDelivery.objects.get()
    assert (delivery.application, delivery.channel, delivery.state) == (leaving, "backchannel", "pending")
    assert (delivery.sid, delivery.sub, delivery.receiver) == (session.sid, mary.user_id, f"app:{leaving.pk}")
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor, event.sessions_ended, event.families_revoked) == (
        "access-lost",
        "admin:a",
        0,
        1,
    )
    assert [client.application for client in SessionClient.objects.filter(session=session)] == [other]
    line = SessionEvent.objects.get(type="access_lost")
    assert (line.sid, line.client_id, line.initiator) == (session.sid, "grafana", "access-lost")
    assert refresh(leaving, tokens["refresh_token"]).status_code == 400
    assert refresh(other, elsewhere["refresh_token"]).status_code == 200


def test_who_comes_back_takes_part_again_and_hears_of_the_end(leaving, mary, staff):
    session = make_session(mary)
    tokens_for(session, leaving)
    expel(mary, staff)
    memberships.add_person(staff, mary, actor="admin:a", at=timezone.now())
    tokens_for(session, leaving)
    assert SessionClient.objects.filter(session=session, application=leaving).count() == 1


def test_a_family_that_outlived_its_session_dies_too(leaving, mary, staff):
    session = make_session(mary)
    tokens_for(session, leaving, scope="openid offline_access")
    SSOSession.objects.filter(pk=session.pk).update(ended_at=timezone.now(), end_initiator="rp-logout")
    expel(mary, staff)
    assert RefreshTokenFamily.objects.get().revoke_reason == "access-lost"
    assert not LogoutDelivery.objects.exists()


def test_who_is_still_in_by_another_group_stays(leaving, mary, staff):
    leaving.access_groups = ["staff", "guests"]
    leaving.save()
    memberships.add_person(memberships.group_of(None, "guests"), mary, actor="admin:a", at=timezone.now())
    tokens_for(make_session(mary), leaving)
    expel(mary, staff)
    assert not LogoutEvent.objects.exists()


def test_an_application_that_does_not_hear_of_it_is_named_in_the_story(leaving, mary, staff):
    leaving.backchannel_logout_uri = ""
    leaving.save()
    tokens_for(make_session(mary), leaving)
    expel(mary, staff)
    delivery = LogoutDelivery.objects.get()
    assert (delivery.channel, delivery.state) == ("none", "not_told")
    assert delivery.last_reason
    assert delivery.finished_at


def test_an_application_that_did_not_ask_for_it_is_told_of_nothing(app, mary, staff):
    tokens_for(make_session(mary), app)
    expel(mary, staff)
    assert not LogoutEvent.objects.exists()


def test_deleting_the_group_signs_everybody_out_there(leaving, mary, staff):
    bob = make_user("bob@x.example")
    memberships.add_person(staff, bob, actor="admin:a", at=timezone.now())
    for user in (mary, bob):
        tokens_for(make_session(user), leaving)
    memberships.delete_group(staff, actor="admin:a", at=timezone.now())
    assert LogoutDelivery.objects.count() == 2


def test_losing_the_group_upstream_at_a_sign_in_signs_out_there(leaving):
    from tests.protocol.directory.test_groups import sign_in

    identity = sign_in(["staff"])
    session = make_session(identity.user, identity=identity, connection=identity.connection)
    tokens_for(session, leaving)
    sign_in(["other"])
    assert LogoutEvent.objects.get().actor == "upstream:Acme"


@pytest.mark.django_db(transaction=True)  # the task has a connection of its own
def test_who_joined_at_the_wrong_moment_leaves_within_a_minute(leaving, mary, staff):
    session = make_session(mary)
    expel(mary, staff)
    SessionClient.objects.create(session=session, application=leaving)
    expire_sessions()
    assert LogoutDelivery.objects.get().sid == session.sid
    expire_sessions()
    assert LogoutDelivery.objects.count() == 1


def test_many_sessions_leave_in_batches(leaving, mary, staff, monkeypatch):
    monkeypatch.setattr(access_lost, "AT_ONCE", 2)
    sessions = [make_session(mary, leaving) for _ in range(5)]
    expel(mary, staff)
    assert {row.sid for row in LogoutDelivery.objects.all()} == {session.sid for session in sessions}


# --- the rule in SQL -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["everyone", "groups", "assigned", "unknown"])
def test_the_rule_is_the_same_in_sql(app, mary, mode):
    acme, closed = make_connection("Acme", "oidc"), make_connection("Closed", "oidc", enabled=False)
    people = [
        mary,
        make_user("a@x.example"),
        make_user("b@x.example", connection=acme),
        make_user("c@x.example", connection=closed),
    ]
    for user in people[2:]:
        identity = user.identities.get()
        memberships.replace_memberships(identity, ["staff"], Source.UPSTREAM, at=timezone.now())
    roles.assign(app, people[1], actor="admin:a", at=timezone.now())
    for references in (
        ["staff"],
        [{"connection": "Acme", "name": "staff"}],
        [{"connection": None, "name": "staff"}],
        [],
        ["x"],
    ):
        app.access_mode, app.access_groups = mode, references
        app.save()
        refused = set(User.objects.filter(not_admitted(app, "pk")))
        snapshot = configuration.current()
        assert {user for user in people if not is_admitted(app, User.objects.get(pk=user.pk), snapshot)} == refused


def test_what_is_loaded_of_a_person_is_loaded_once(mary):
    with CaptureQueriesContext(connection) as queries:
        assert entitlements.of(mary) is entitlements.of(mary)
    assert len(queries) == 1


def test_the_page_leads_back_only_where_the_request_may_lead(app):
    page = authorize(browser(make_session(make_user())), app).content.decode()
    back = page.split('button-primary" href="')[1].split('"')[0].replace("&amp;", "&")
    inner = parse_qs(urlsplit(back).query)["next"][0]
    assert urlsplit(inner).path == "/authorize"
