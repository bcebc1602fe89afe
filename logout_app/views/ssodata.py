"""`GET /user/ssodata`: what the single-logout page of the seed asks: who is signed in, and to which applications.

Readable with the cookie by exactly the origins that applications registered (docs/endpoints.md). It is not
activity: asking every few seconds keeps no session alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from idp.models import Application
from idp.tenants import configuration
from logout_app.protocol import redirects
from sessions_app.models import SessionClient, SSOSession
from sessions_app.session import binding
from sessions_app.session.gate import may_use


@dataclass(slots=True)
class _Origin:
    """Who registered an origin."""

    applications: dict[str, Application] = field(default_factory=dict)  # by client_id
    first_party: bool = False


_ORIGINS = configuration.Memo[dict[str, _Origin]]("who registered an origin")


@login_not_required
@require_http_methods(["GET", "OPTIONS"])
@binding.passive
def ssodata(request: HttpRequest) -> HttpResponse:
    """The session of the cookie. Another site's script gets 403 without data, never a false `{"sso": false}`."""
    origin = request.headers.get("Origin", "")
    session = binding.session_of(request)
    snapshot = configuration.at(getattr(session, "config_version", None)) if session else configuration.current()
    registered = _registered(origin, request.GET.get("client_id", ""), snapshot) if origin else None
    own = origin in ("", settings.ISSUER_ORIGIN)
    if (registered is None and not own) or _is_embedded(request):
        response: HttpResponse = JsonResponse({"error": "access_denied"}, status=403)
    elif request.method == "OPTIONS":
        response = HttpResponse(status=204)
    else:
        if session and registered and not _may_know(session, registered, request.GET.get("client_id", ""), snapshot):
            session = None
        response = JsonResponse(_answer(session, masked=not own and not (registered and registered.first_party)))
    if registered is not None:
        _allow(response, origin)
    patch_vary_headers(response, ("Origin", "Cookie"))
    return response


def _answer(session: SSOSession | None, *, masked: bool) -> dict[str, Any]:
    """The seed's shape; without a session nothing but `sso`."""
    if session is None:
        return {"sso": False}
    clients = dict(
        SessionClient.objects.filter(session=session)
        .order_by("joined_at", "pk")
        .values_list("application_id", "application__client_id")
    )
    username = session.user.email or session.user.user_id
    connection = session.connection
    return {
        "sso": True,
        "sessionClients": list(clients.values()),
        "lastUsedClientID": clients.get(session.last_application_id or 0),
        "lastUsedUsername": _mask(username) if masked else username,
        "lastUsedConnection": {"name": connection.name, "strategy": connection.strategy} if connection else None,
    }


def _may_know(session: SSOSession, origin: _Origin, client_id: str, snapshot: configuration.Snapshot) -> bool:
    """An application that people of this connection may not use has no single sign-on with this session, and no data of it."""
    asking = [origin.applications[client_id]] if client_id else origin.applications.values()
    return any(may_use(application, session, session.user, snapshot) for application in asking)


def _mask(username: str) -> str:
    """Enough for a person to recognise themselves, not enough to learn who they are."""
    local, at, domain = username.partition("@")
    return f"{local[:1]}***{at}{domain[:1]}***" if at else f"{local[:1]}***"


def _registered(origin: str, client_id: str, snapshot: configuration.Snapshot) -> _Origin | None:
    """Who registered exactly this origin; with `client_id` it must be that application."""
    found = snapshot.derived(_ORIGINS, _load_origins).get(origin)
    return found if found is not None and (not client_id or client_id in found.applications) else None


def _load_origins() -> dict[str, _Origin]:
    origins: dict[str, _Origin] = {}
    for application in Application.objects.filter(enabled=True):
        for origin in application.usable.cors_origins:
            target = redirects.parse(origin)
            if target is None or target.origin != origin or "*" in origin:
                continue  # credentials go to exact origins only
            entry = origins.setdefault(origin, _Origin())
            entry.applications[application.client_id] = application
            entry.first_party = entry.first_party or application.is_first_party
    return origins


def _is_embedded(request: HttpRequest) -> bool:
    """A script or image tag of a page: it could read what it must not, or measure it."""
    return request.headers.get("Sec-Fetch-Mode", "") == "no-cors"


def _allow(response: HttpResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Allow-Methods"] = "GET"
    response.headers["Access-Control-Allow-Headers"] = "Auth0-Client, Content-Type"
