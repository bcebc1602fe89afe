"""What an API's access tokens are: Auth0's four dialects as at Auth0, and opaque ones, which are ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from idp.models import Application, ClientGrant, ResourceServer, Role, User
from sessions_app.models import AccessToken, SSOSession
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import decode, header_of, token, tokens_for, userinfo

pytestmark = pytest.mark.django_db
API = "https://api.example.com/"
JWTS = ["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"]


@pytest.fixture
def app() -> Application:
    return make_application("App")


@pytest.fixture
def session() -> SSOSession:
    return make_session(make_user("mary@fabrikamcorp.com"))


def api(dialect: str = "", **fields: Any) -> ResourceServer:
    scopes = [{"value": "read:things"}, {"value": "write:things"}]
    given = {"token_dialect": dialect} if dialect else {}
    return ResourceServer.objects.create(identifier=API, scopes=scopes, token_lifetime=600, **given, **fields)


def person_s(app: Application, session: SSOSession, scope: str = "openid read:things") -> str:
    return str(tokens_for(session, app, resource=API, scope=scope)["access_token"])


def machine_s(dialect: str) -> str:
    app = make_application("Backend", app_type="non_interactive", grant_types=["client_credentials"])
    ClientGrant.objects.create(
        application=app, resource_server=api(dialect, enforce_policies=True), scope=["read:things"]
    )
    return str(token(app, grant_type="client_credentials", audience=API).json()["access_token"])


def test_an_api_that_says_nothing_gets_tokens_that_are_dead_at_once(app: Application, session: SSOSession) -> None:
    api()
    raw = person_s(app, session)
    assert "." not in raw
    assert AccessToken.rows.get().audience == API
    assert userinfo(raw).status_code == 200
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(raw).status_code == 401


def test_access_token_is_a_jwt_with_the_claims_that_auth0_s_have(app: Application, session: SSOSession) -> None:
    api("access_token")
    raw = person_s(app, session)
    claims = decode(raw)
    assert header_of(raw)["typ"] == "JWT"
    assert claims.keys() == {"iss", "sub", "aud", "azp", "iat", "exp", "scope", "sid", "auth_time"}
    assert claims["iss"] == settings.ISSUER
    assert claims["sub"] == session.user.user_id
    assert claims["aud"] == [API, f"{settings.ISSUER}userinfo"]
    assert claims["azp"] == app.client_id
    assert claims["exp"] == claims["iat"] + 600
    assert claims["scope"] == "openid read:things"
    assert not AccessToken.rows.exists()


def test_rfc9068_profile_is_a_jwt_with_the_claims_of_rfc_9068(app: Application, session: SSOSession) -> None:
    api("rfc9068_profile")
    raw = person_s(app, session)
    claims = decode(raw)
    assert header_of(raw)["typ"] == "at+jwt"
    assert claims.keys() == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "sid", "auth_time"}
    assert claims["client_id"] == app.client_id


@pytest.mark.parametrize("dialect", JWTS)
def test_only_the_authz_dialects_say_what_the_api_permits(app: Application, session: SSOSession, dialect: str) -> None:
    api(dialect, enforce_policies=True)
    permission = {"resource_server_identifier": API, "permission_name": "read:things"}
    Role.objects.create(name="Reader", permissions=[permission]).people.add(session.user)
    claims = decode(person_s(app, session))
    assert claims.get("permissions") == (["read:things"] if dialect.endswith("_authz") else None)


@pytest.mark.parametrize("dialect", JWTS)
def test_an_application_s_own_token_names_it_as_auth0_s_does(dialect: str) -> None:
    claims = decode(machine_s(dialect))
    is_auth0_s = dialect.startswith("access_token")
    assert claims["sub"] == "backend@clients"
    assert claims["aud"] == API
    assert claims["azp" if is_auth0_s else "client_id"] == "backend"
    assert claims.get("gty") == ("client-credentials" if is_auth0_s else None)
    assert claims.get("permissions") == (["read:things"] if dialect.endswith("_authz") else None)
    assert not {"sid", "auth_time"} & claims.keys()


@pytest.mark.parametrize("dialect", JWTS)
def test_a_jwt_is_taken_at_userinfo_until_its_session_ends(app: Application, session: SSOSession, dialect: str) -> None:
    api(dialect)
    raw = person_s(app, session)
    assert userinfo(raw).json() == {"sub": session.user.user_id}
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(raw).status_code == 401


@pytest.mark.parametrize("dialect", JWTS)
def test_a_jwt_without_a_session_that_began_in_the_second_of_a_revocation_is_judged_by_its_family(
    app: Application, session: SSOSession, dialect: str
) -> None:
    """The dialects name the application by different claims."""
    app.access_tokens_die_with_session = False
    app.save()
    api(dialect, allow_offline_access=True)
    raw = person_s(app, session, scope="openid offline_access read:things")
    began = decode(raw)["auth_time"]
    assert userinfo(raw).status_code == 200
    User.objects.update(revoked_before=datetime.fromtimestamp(began + 0.999999, UTC))
    assert userinfo(raw).status_code == 401


@pytest.mark.parametrize("dialect", JWTS)
def test_an_id_token_is_no_access_token(app: Application, session: SSOSession, dialect: str) -> None:
    """Also of an application that is called like the endpoint."""
    api(dialect)
    Application.objects.filter(pk=app.pk).update(client_id=f"{settings.ISSUER}userinfo")
    app.client_id = f"{settings.ISSUER}userinfo"
    tokens = tokens_for(session, app, resource=API, scope="openid read:things")
    assert userinfo(tokens["access_token"]).status_code == 200
    assert userinfo(tokens["id_token"]).status_code == 401


@pytest.mark.parametrize("dialect", JWTS)
def test_an_access_token_is_no_id_token_hint_though_its_api_is_called_like_an_application(
    app: Application, session: SSOSession, dialect: str
) -> None:
    api(dialect)
    ResourceServer.objects.update(identifier=app.client_id)
    raw = str(tokens_for(session, app, audience=app.client_id, scope="openid read:things")["access_token"])
    assert app.client_id in decode(raw)["aud"]
    answer = browser(session).get("/oidc/logout", {"id_token_hint": raw})
    assert answer.status_code == 400
    session.refresh_from_db()
    assert session.ended_at is None
