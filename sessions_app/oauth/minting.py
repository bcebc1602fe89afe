"""What a person's grant is made into: an access token, an ID token, a refresh token, and the rows that remember them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from idp.applications import encryption
from idp.crypto import keys, own_tokens
from idp.database.guarded import Row
from idp.http.requests import RequestFacts
from idp.models import Application, ResourceServer, User
from idp.protocol import token_dialects
from idp.protocol.errors import InvalidTarget
from idp.protocol.opaque import digest, new_secret
from idp.protocol.standard_scopes import OPENID
from idp.tenants.configuration import Snapshot
from idp.tenants.profile import signing_algorithm, tells_end_of_session
from sessions_app.claims import issue, permissions
from sessions_app.claims.standard import known_claims
from sessions_app.models import AccessToken, RefreshToken, RefreshTokenFamily, SSOSession
from sessions_app.protocol import claims


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What was granted to whom, whichever grant type it came by."""

    application: Application
    user: User
    session: SSOSession | None  # the session that the access token dies with, if any
    authentication: claims.Authentication
    scope: list[str]
    audience: str = ""
    nonce: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    code_id: int | None = None
    family_id: int | None = None
    jkt: str = ""  # thumbprint of the key that the tokens are bound to (RFC 9449)


@dataclass(frozen=True, slots=True)
class Access:
    """An access token that travels, and its row (a JWT has none)."""

    raw: str
    expires_in: int
    row: AccessToken | None


def api_of(snapshot: Snapshot, audience: str) -> ResourceServer | None:
    """The API of a grant; None for /userinfo only. An API that was deleted since is an error."""
    if not audience:
        return None
    api = snapshot.resource_server(audience)
    if api is None:
        raise InvalidTarget("The API of this token does not exist any more.")
    return api


def access_token(grant: TokenGrant, snapshot: Snapshot, at: datetime) -> Access:
    api = api_of(snapshot, grant.audience)
    lifetime = api.usable_lifetime if api else grant.application.usable.access_token_lifetime
    if api and api.issues_jwts:
        return Access(_jwt(grant, api, snapshot, at, lifetime), lifetime, None)
    raw = new_secret()
    row = AccessToken(
        token_checksum=digest(raw),
        expires=at + timedelta(seconds=lifetime),
        scope=" ".join(grant.scope),
        audience=grant.audience,
        dpop_jkt=grant.jkt,
        application_id=grant.application.pk,
        user_id=grant.user.pk,
        session_id=grant.session.pk if grant.session else None,
        family_id=grant.family_id,
        code_id=grant.code_id,
        created=at,
        updated=at,
    )
    return Access(raw, lifetime, row)


def _jwt(grant: TokenGrant, api: ResourceServer, snapshot: Snapshot, at: datetime, lifetime: int) -> str:
    userinfo = f"{settings.ISSUER}userinfo"
    body = claims.access_token(
        issuer=settings.ISSUER,
        sub=grant.authentication.sub,
        audience=[api.identifier, userinfo] if OPENID in grant.scope else api.identifier,
        client_id=grant.application.client_id,
        scope=" ".join(grant.scope),
        at=at,
        lifetime=lifetime,
        dialect=api.token_dialect,
        jti=new_secret(),
        sid=grant.session.sid if grant.session and grant.application.access_tokens_die_with_session else "",
        auth_time=grant.authentication.auth_time,
        jkt=grant.jkt,
    )
    if grant.authentication.sub != grant.user.user_id:
        body[own_tokens.PERSON] = own_tokens.reference_to(grant.user.pk, grant.application.client_id)
    key = keys.active(signing_algorithm(api.signing_alg, snapshot.tenant), snapshot)
    more = permissions.access_claims(subject_of(grant, snapshot, at), api)
    return keys.sign_with(key, more | body, typ=token_dialects.typ(api.token_dialect))


def subject_of(grant: TokenGrant, snapshot: Snapshot, at: datetime) -> issue.ClaimSubject:
    return issue.ClaimSubject(
        grant.application, grant.user, grant.session, grant.authentication.auth_time, snapshot, grant.scope, at
    )


def new_family(grant: TokenGrant, *, offline: bool, facts: RequestFacts, at: datetime) -> RefreshTokenFamily:
    """A family, not saved. Its absolute lifetime is fixed here and now."""
    application, usable = grant.application, grant.application.usable
    return RefreshTokenFamily(
        user_id=grant.user.pk,
        application_id=application.pk,
        session_id=grant.session.pk if grant.session else None,
        code_id=grant.code_id,
        offline=offline,
        rotating=application.refresh_token_rotating,
        scope=" ".join(grant.scope),
        audience=grant.audience,
        dpop_jkt=grant.jkt if application.is_public else "",  # others prove who they are anyway (section 5)
        sid=grant.authentication.sid,
        auth_time=grant.authentication.auth_time,
        acr=grant.authentication.acr,
        session_expires_at=grant.authentication.session_expires_at,
        rotated_at=at,
        created_at=at,
        idle_expires_at=later(at, usable.refresh_token_idle_lifetime),
        expires_at=later(at, usable.refresh_token_lifetime),
        initial_ip=facts.ip,
        initial_user_agent=facts.user_agent,
        last_ip=facts.ip,
        last_user_agent=facts.user_agent,
    )


def refresh_token(grant: TokenGrant, *, generation: int, at: datetime) -> tuple[str, RefreshToken]:
    raw = new_secret()
    row = RefreshToken(
        token_checksum=digest(raw),
        user_id=grant.user.pk,
        application_id=grant.application.pk,
        family_id=grant.family_id,
        generation=generation,
        created=at,
        updated=at,
    )
    return raw, row


def rows_of(family: RefreshTokenFamily | None, refresh: RefreshToken | None, access: Access) -> list[Row]:
    """The rows in the order in which they refer to each other."""
    links = {"family_id": "family"} if family else {}
    rows = [Row("family", family, {})] if family else []
    if refresh:
        rows.append(Row("refresh", refresh, links))
    if access.row:
        rows.append(Row("access", access.row, links))
    return rows


def answer(grant: TokenGrant, access: Access, refresh: str, snapshot: Snapshot, at: datetime) -> dict[str, Any]:
    """RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3."""
    kind = "DPoP" if grant.jkt else "Bearer"
    body: dict[str, Any] = {"access_token": access.raw, "token_type": kind, "expires_in": access.expires_in}
    if refresh:
        body["refresh_token"] = refresh
    if OPENID in grant.scope:
        body["id_token"] = _id_token(grant, access, snapshot, at)
    return body | {"scope": " ".join(grant.scope)}


def _id_token(grant: TokenGrant, access: Access, snapshot: Snapshot, at: datetime) -> str:
    application = grant.application
    asked = grant.claims.get("id_token", {})
    by_scope = () if application.scope_claims_in_userinfo_only else grant.scope
    algorithm = signing_algorithm(application.id_token_signed_response_alg, snapshot.tenant)
    body = claims.id_token(
        grant.authentication,
        issuer=settings.ISSUER,
        client_id=application.client_id,
        at=at,
        lifetime=application.usable.id_token_lifetime,
        access_token=access.raw,
        algorithm=algorithm,
        nonce=grant.nonce,
        profile=claims.select(known_claims(grant.user), by_scope, asked)
        | issue.tell(subject_of(grant, snapshot, at), issue.ID_TOKEN, asked),
        session_expiry=_session_expiry(grant, snapshot),
    )
    signed = keys.sign_with(keys.active(algorithm, snapshot), body)
    return encryption.encrypted(signed, application) if application.id_token_encrypted_response_alg else signed


def _session_expiry(grant: TokenGrant, snapshot: Snapshot) -> int | None:
    """Rounded down: an application may end its session a second early, never late."""
    ends_at = grant.authentication.session_expires_at
    is_told = tells_end_of_session(grant.application, snapshot.tenant)
    return int(ends_at.timestamp()) if ends_at and is_told else None


def claims_of(stored: str) -> dict[str, Any]:
    """The `claims` parameter as an authorization code keeps it."""
    claims: dict[str, Any] = json.loads(stored) if stored else {}
    return claims


def later(at: datetime, seconds: int | None) -> datetime | None:
    return at + timedelta(seconds=seconds) if seconds is not None else None
