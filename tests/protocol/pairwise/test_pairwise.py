"""Pairwise subjects (OpenID Connect Core section 8): the same person is somebody else in another sector, in every place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from idp.applications.subjects import sector, subject_for
from idp.models import Application, ResourceServer, TenantSettings, User
from idp.protocol.initiators import Initiator
from idp.tenants import configuration
from logout_app.delivery.channels.registry import dispatch_of
from logout_app.delivery.outbox import Claimed
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import Channel, LogoutDelivery
from sessions_app.models import SSOSession
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import answer_of, authorize, credentials, decode, post_form, refresh, tokens_for, userinfo

pytestmark = pytest.mark.django_db
CORE = "OpenID Connect Core 1.0"


def pairwise(name: str = "Private", **fields: Any) -> Application:
    return make_application(name, subject_type="pairwise", **fields)


def sub_of(session: SSOSession, application: Application) -> str:
    return decode(tokens_for(session, application)["id_token"])["sub"]


@pytest.mark.spec(CORE, "8.1", "Pairwise: one sub for each sector, the same for its applications, told by nobody else")
def test_each_sector_knows_the_person_by_another_name(app: Application, session: SSOSession) -> None:
    one = pairwise()
    same = pairwise("Same", redirect_uris=f"{one.callbacks[0]}/other")
    other = pairwise("Other")
    named = pairwise("Named", sector_identifier_uri="https://private.example/sector.json")
    subs = [sub_of(session, each) for each in (app, one, same, named, other)]
    assert subs[0] == session.user.user_id
    assert subs[1] == subs[2] == subs[3]
    assert len({subs[0], subs[1], subs[4]}) == 3
    assert session.user.user_id not in subs[1:]
    assert all(len(sub) == 43 for sub in subs[1:])
    assert sub_of(session, one) == subs[1], "it stays"
    paul = make_session(make_user("paul@fabrikamcorp.com"))
    assert sub_of(paul, one) != subs[1]


def test_the_sector_is_the_host_of_the_callbacks_or_the_registered_one() -> None:
    assert sector(Application(redirect_uris="https://a.example/x https://a.example/y", client_id="c")) == "a.example"
    assert sector(Application(redirect_uris="https://a.example/x https://b.example/", client_id="c")) == "c"
    assert sector(Application(redirect_uris="com.app:/x", client_id="c")) == "c"
    assert sector(Application(sector_identifier_uri="https://s.example/x", client_id="c")) == "s.example"


@pytest.mark.spec(CORE, "8", "The sub is the same in ID token, UserInfo and introspection")
def test_every_answer_says_the_same_sub(session: SSOSession) -> None:
    one = pairwise()
    body = tokens_for(session, one)
    sub = decode(body["id_token"])["sub"]
    assert userinfo(body["access_token"]).json()["sub"] == sub
    for token in (body["access_token"], body["refresh_token"]):
        assert post_form("/oauth/introspect", {**credentials(one), "token": token}).json()["sub"] == sub
    again = refresh(one, body["refresh_token"]).json()
    assert decode(again["id_token"])["sub"] == sub


def test_a_jwt_access_token_says_it_and_still_opens_userinfo(session: SSOSession) -> None:
    one = pairwise()
    ResourceServer.objects.create(identifier="https://api.example/", token_dialect="rfc9068_profile")
    body = tokens_for(session, one, audience="https://api.example/")
    claims = decode(body["access_token"])
    assert claims["sub"] == decode(body["id_token"])["sub"]
    assert session.user.user_id not in json.dumps(claims)
    second = decode(tokens_for(session, one, audience="https://api.example/")["access_token"])
    assert second["curfew_person"] != claims["curfew_person"], "nobody can compare two"
    assert userinfo(body["access_token"]).json()["sub"] == claims["sub"]
    User.objects.update(is_active=False)
    assert userinfo(body["access_token"]).status_code == 401


def end(session: SSOSession) -> list[LogoutDelivery]:
    end_sessions(
        Selection.user(session.user_id),
        initiator=Initiator.SESSION_REVOKED,
        actor="admin:boss",
        at=timezone.now(),
        offline_tokens=True,
    )
    return list(LogoutDelivery.objects.order_by("pk"))


@pytest.mark.spec("OpenID Connect Back-Channel Logout 1.0", "2.4", "The sub of a logout token is that of the ID tokens")
def test_the_logout_token_says_the_pairwise_sub(session: SSOSession) -> None:
    url = "https://private.example/backchannel"
    one = pairwise(backchannel_logout_uri=url, global_token_revocation_uri=f"{url}/gtr")
    sub = sub_of(session, one)
    told = {delivery.channel: message_of(delivery) for delivery in end(session)}
    token = told[Channel.BACKCHANNEL].decode().removeprefix("logout_token=")
    assert decode(token)["sub"] == sub
    assert json.loads(told[Channel.GTR])["sub_id"]["sub"] == sub


def message_of(delivery: LogoutDelivery) -> bytes:
    """The body that the worker would send for this row now."""
    row = Claimed(
        id=delivery.pk,
        fence=1,
        attempts=0,
        receiver=delivery.receiver,
        application_id=delivery.application_id,
        client_id=delivery.client_id,
        sub=delivery.sub,
        sid=delivery.sid,
        channel=delivery.channel,
        created_at=delivery.created_at,
        last_status=None,
        initiator=Initiator.SESSION_REVOKED,
        config_version=None,
    )
    return dispatch_of(delivery.channel).route(row, configuration.current()).mint(row, timezone.now()).body


@pytest.mark.spec("OpenID Connect RP-Initiated Logout 1.0", "2", "A hint with a pairwise sub spares the question")
def test_a_hint_with_a_pairwise_sub_names_the_session(session: SSOSession) -> None:
    one = pairwise()
    hint = tokens_for(session, one)["id_token"]
    answer = browser(session).get(
        "/oidc/logout", {"id_token_hint": hint, "post_logout_redirect_uri": one.allowed_logout_urls[0]}
    )
    session.refresh_from_db()
    assert session.ended_at is not None
    assert answer.status_code in (302, 303)


def test_a_hint_of_somebody_elses_is_asked_about(session: SSOSession) -> None:
    one, paul = pairwise(), make_session(make_user("paul@fabrikamcorp.com"))
    hint = tokens_for(paul, one)["id_token"]
    assert browser(session).get("/oidc/logout", {"id_token_hint": hint}).status_code == 200
    session.refresh_from_db()
    assert session.ended_at is None


def test_a_hint_at_authorize_names_the_person_by_the_sub_of_its_application(
    app: Application, session: SSOSession
) -> None:
    one, paul = pairwise(), make_session(make_user("paul@fabrikamcorp.com"))
    mine, his = (tokens_for(each, one)["id_token"] for each in (session, paul))
    for asking in (one, app):
        assert "code" in answer_of(authorize(session, asking, id_token_hint=mine, prompt="none"))
        assert "error" in answer_of(authorize(session, asking, id_token_hint=his, prompt="none"))


def test_the_claims_parameter_asks_by_the_pairwise_sub(session: SSOSession) -> None:
    one = pairwise()

    def asked(sub: str) -> dict[str, str]:
        wanted = json.dumps({"id_token": {"sub": {"value": sub}}})
        return answer_of(authorize(session, one, claims=wanted, prompt="none"))

    assert "code" in asked(sub_of(session, one))
    assert asked(session.user.user_id)["error"] == "login_required", "else anybody could compare the two"


def test_no_rotation_of_secrets_makes_people_strangers(session: SSOSession, settings: Any) -> None:
    one = pairwise()
    before = subject_for(session.user.user_id, one, configuration.current())
    settings.SECRET_KEY, settings.ENCRYPTION_KEYS = "another" * 10, ["another" * 10]
    assert subject_for(session.user.user_id, one, configuration.current()) == before


def test_an_installation_of_an_earlier_release_gets_its_key_once(session: SSOSession) -> None:
    TenantSettings.objects.update(pairwise_salt="")  # as a release makes the row that knows no such column
    configuration.bump()
    one = pairwise()
    first = subject_for(session.user.user_id, one, configuration.current())
    configuration.bump()
    assert subject_for(session.user.user_id, one, configuration.current()) == first
    assert len(TenantSettings.objects.get().pairwise_salt) == 43


def test_discovery_offers_both_kinds() -> None:
    assert Client().get("/.well-known/openid-configuration").json()["subject_types_supported"] == ["public", "pairwise"]
