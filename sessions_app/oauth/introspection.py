"""What a presented token is worth now (RFC 7662), and its revocation (RFC 7009)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from idp.database.lookups import Given, Lookup
from idp.directory import dialects
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
    return (
        _of_person(token, at)
        | {
            "active": True,
            "token_type": "Bearer",
            "client_id": token.application.client_id,
            "sub": token.user.user_id if token.user else subject_of(token.application),
            "scope": token.scope,
            "aud": token.audience or token.application.client_id,
            "iss": settings.ISSUER,
            "iat": int(token.created.timestamp()),
            "exp": int(token.expires.timestamp()),
        }
        | ({"sid": token.session.sid} if token.session else {})
    )


def _of_person(token: AccessToken, at: datetime) -> dict[str, Any]:
    """What a JWT in its place would say: mapped claims of access tokens, and permissions. Of now, not of when it was issued."""
    snapshot = configuration.at(token.config_version)
    if token.user is None:
        api = snapshot.resource_server(token.audience) if token.audience else None
        return {"permissions": token.scope.split()} if api and dialects.carries_permissions(api) else {}
    session = token.session or (token.family.session if token.family else None)
    auth_time = session.auth_time if session else None
    scope = token.scope.split()
    subject = issue.Subject(token.application, token.user, session, auth_time, snapshot, scope, at)
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
    if not may_use(client, family.session, family.user, configuration.at(token.config_version)):
        return None
    if family.rotating and token.generation != family.generation:
        return None
    answer: dict[str, Any] = {
        "active": True,
        "token_type": "refresh_token",
        "client_id": client.client_id,
        "sub": family.user.user_id,
        "scope": family.scope,
        "aud": client.client_id,
        "iss": settings.ISSUER,
        "iat": int(token.created.timestamp()),
        "sid": family.sid,
    }
    ends = [moment for moment in (family.expires_at, family.idle_expires_at) if moment is not None]
    return answer | ({"exp": int(min(ends).timestamp())} if ends else {})
