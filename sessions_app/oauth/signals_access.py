"""Who may manage a stream of security events: an application by client_credentials, or a person for it (Apple)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from idp.models import Application, ClientGrant
from idp.protocol.errors import InvalidToken, ProtocolError
from idp.tenants import configuration, signals_api
from sessions_app.oauth import policies
from sessions_app.oauth.introspection import load_access_token
from sessions_app.session.gate import may_use

_INVALID = "The access token is invalid, expired or revoked."


@dataclass(frozen=True, slots=True)
class StreamManager:
    """The application whose stream it is, and for whom it asks: the actor of what it does."""

    application: Application
    actor: str


def manager(raw: str, *scopes: str, at: datetime) -> StreamManager:
    """By a token with one of these scopes that the client grant still has, and the person's roles. Raises InvalidToken."""
    token = load_access_token(raw) if raw else None
    if token is None or token.is_expired() or token.application is None or token.dpop_jkt:
        raise InvalidToken(_INVALID)
    if token.audience != signals_api.audience():
        raise InvalidToken("The access token is for another API.")
    application, snapshot = token.application, configuration.at(token.config_version)
    api = snapshot.resource_server(token.audience)
    granted = [scope for scope in token.scope.split() if scope in _grant(application)]
    if token.user is not None:
        session = token.session or (token.family.session if token.family else None)
        if not may_use(application, session, token.user, snapshot):
            raise InvalidToken(_INVALID)
        granted = policies.allowed(granted, api, token.user, snapshot)
    if not set(granted) & set(scopes):
        raise ProtocolError(
            f"The scope {scopes[0]} is needed, and a client grant that has it.", error="insufficient_scope", status=403
        )
    actor = f"app:{application.client_id}" if token.user is None else token.user.user_id
    return StreamManager(application, actor)


def _grant(application: Application) -> list[str]:
    grant = ClientGrant.objects.filter(
        application=application, resource_server__identifier=signals_api.audience()
    ).first()
    return grant.scope if grant else []
