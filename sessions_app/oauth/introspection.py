"""What a presented token is worth now (RFC 7662), and its revocation (RFC 7009)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from idp.applications.subjects import subject_for
from idp.database.lookups import Given, Lookup
from idp.models import Application
from idp.protocol.opaque import digest
from idp.tenants import configuration
from sessions_app.claims import issue, permissions
from sessions_app.models import AccessToken, RefreshToken
from sessions_app.oauth.toolkit import subject_of
from sessions_app.session.gate import may_use

_ACCESS_TOKEN = Lookup(lambda: AccessToken.objects.select_related("code").filter(token_checksum=Given("checksum")))
INACTIVE: dict[str, Any] = {"active": False}


def introspect(raw: str, client: Application, at: datetime) -> dict[str, Any]:
    """A client sees the tokens that were issued to it or that are meant for it (the audience is its client_id)."""
    return _access(raw, client, at) or _refresh(raw, client, at) or INACTIVE


def revoke(raw: str, client: Application, at: datetime) -> None:
    """A refresh token takes its whole family and the family's access tokens along; what is not the client's is left alone."""
    refresh = RefreshToken.objects.filter(token_checksum=digest(raw), application=client).first()
    if refresh is not None:
        refresh.revoke()
        return
    access = AccessToken.rows.filter(token_checksum=digest(raw), application=client).first()
    if access is not None:
        access.revoke()


def load_access_token(raw: str) -> AccessToken | None:
    """The row with all parents and the `claims` parameter, for one SELECT; dead or alive."""
    token = _ACCESS_TOKEN.get(checksum=digest(raw))
    if token is not None and token.user is not None:
        for parent in (token.session, token.family, token.family.session if token.family else None):
            if parent is not None:
                parent.user = token.user
    return token


def _access(raw: str, client: Application, at: datetime) -> dict[str, Any] | None:
    token = load_access_token(raw)
    if token is None or token.is_expired() or token.application is None:
        return None
    if client.pk != token.application_id and client.client_id != token.audience:
        return None
    answer = _of_person(token, at) | {
        "active": True,
        "token_type": "DPoP" if token.dpop_jkt else "Bearer",
        "client_id": token.application.client_id,
        "sub": _subject(token),
        "scope": token.scope,
        "aud": token.audience or token.application.client_id,
        "iss": settings.ISSUER,
        "iat": int(token.created.timestamp()),
        "exp": int(token.expires.timestamp()),
    }
    if token.dpop_jkt:  # RFC 9449 section 6.2
        answer["cnf"] = {"jkt": token.dpop_jkt}
    return answer | ({"sid": token.session.sid} if token.session else {})


def _subject(token: AccessToken) -> str:
    """As the application knows the person that the token was issued to."""
    if token.user is None:
        return subject_of(token.application)
    return subject_for(token.user.user_id, token.application, configuration.at(token.config_version))


def _of_person(token: AccessToken, at: datetime) -> dict[str, Any]:
    """What a JWT in its place would say: mapped claims of access tokens, and permissions. Of now, not of when it was issued."""
    snapshot = configuration.at(token.config_version)
    if token.user is None:
        api = snapshot.resource_server(token.audience) if token.audience else None
        return {"permissions": api.permissions(token.scope.split())} if api and api.tells_permissions else {}
    session = token.session or (token.family.session if token.family else None)
    auth_time = session.auth_time if session else None
    scope = token.scope.split()
    subject = issue.ClaimSubject(token.application, token.user, session, auth_time, snapshot, scope, at)
    return permissions.access_claims(subject, snapshot.resource_server(token.audience))


def _refresh(raw: str, client: Application, at: datetime) -> dict[str, Any] | None:
    token = (
        RefreshToken.objects.filter(token_checksum=digest(raw), application=client)
        .select_related("family__user", "family__session__user")
        .annotate(config_version=configuration.VERSION)
        .first()
    )
    if token is None or token.revoked_at is not None or not token.family.is_alive(at):
        return None
    family = token.family
    snapshot = configuration.at(token.config_version)
    if not may_use(client, family.session, family.user, snapshot):
        return None
    if family.rotating and token.generation != family.generation:
        return None
    answer: dict[str, Any] = {
        "active": True,
        "token_type": "refresh_token",
        "client_id": client.client_id,
        "sub": subject_for(family.user.user_id, client, snapshot),
        "scope": family.scope,
        "aud": client.client_id,
        "iss": settings.ISSUER,
        "iat": int(token.created.timestamp()),
        "sid": family.sid,
    }
    if family.dpop_jkt:
        answer["cnf"] = {"jkt": family.dpop_jkt}
    ends = [moment for moment in (family.expires_at, family.idle_expires_at) if moment is not None]
    return answer | ({"exp": int(min(ends).timestamp())} if ends else {})
