"""The seams with django-oauth-toolkit, but for its abstract models, which `models.py` here and in `idp` build on;
tests/protocol/toolkit pins them.

It issues no token that belongs to a person. It gives us its models, client_credentials and the protection of DRF views,
into which our rule of death hooks at `AccessToken.is_expired()`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import TokenView
from oauthlib.common import Request as OAuthlibRequest

from idp.applications import client_auth
from idp.crypto import keys
from idp.models import Application, ClientGrant, ResourceServer
from idp.protocol import token_dialects
from idp.protocol.errors import AccessDenied, InvalidScope, InvalidTarget, ProtocolError
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from idp.protocol.standard_scopes import PERSONAL
from idp.scim import applications as provisioning
from idp.tenants import configuration, signals_api
from idp.tenants.configuration import Snapshot
from idp.tenants.profile import signing_algorithm
from sessions_app.models import AccessToken
from sessions_app.oauth import dpop
from sessions_app.oauth.dpop import Presented
from sessions_app.oauth.tokens import require_grant
from sessions_app.protocol import claims, scopes

_ORDER = "curfew.client_credentials"  # key in request.META, which no header can set: those begin with HTTP_


@dataclass(frozen=True, slots=True)
class Order:
    """What our view decided before it handed the request to django-oauth-toolkit."""

    application: Application
    scope: list[str]
    audience: str
    lifetime: int
    jkt: str = ""


class CurfewValidator(OAuth2Validator):
    """Only client_credentials, only for a client that our own function authenticated, never an open door."""

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        return client_auth.secret_matches(provided_secret, stored_secret)

    def authenticate_client(self, request: OAuthlibRequest, *args: Any, **kwargs: Any) -> bool:
        order = _order(request)
        if order is not None:
            request.client = order.application
            return True
        return bool(super().authenticate_client(request, *args, **kwargs)) and not request.client.is_public

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Application, request: OAuthlibRequest, *args: Any, **kwargs: Any
    ) -> bool:
        return grant_type == "client_credentials" and _order(request) is not None

    def validate_bearer_token(self, token: str, scopes: list[str], request: OAuthlibRequest) -> bool:
        """A token that is bound to a key is none for whoever only bears it (RFC 9449 section 7.1)."""
        return bool(super().validate_bearer_token(token, scopes, request)) and not request.access_token.dpop_jkt

    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: Application,
        request: OAuthlibRequest,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        order = _order(request)
        return order is not None and set(scopes or ()) <= set(order.scope)

    def get_default_scopes(self, client_id: str, request: OAuthlibRequest, *args: Any, **kwargs: Any) -> list[str]:
        order = _order(request)
        return list(order.scope) if order else []

    def save_bearer_token(self, token: dict[str, Any], request: OAuthlibRequest, *args: Any, **kwargs: Any) -> None:
        """One INSERT of our own row; django-oauth-toolkit's would not know the audience nor the API's lifetime."""
        order = _order(request)
        if order is None:
            raise ProtocolError("Tokens are issued by our own endpoint only.")
        now = timezone.now()
        token["expires_in"] = order.lifetime
        token.pop("refresh_token", None)
        AccessToken.rows.bulk_create(
            [
                AccessToken(
                    token="",
                    token_checksum=digest(token["access_token"]),
                    expires=now + timedelta(seconds=order.lifetime),
                    scope=token.get("scope", ""),
                    audience=order.audience,
                    dpop_jkt=order.jkt,
                    application=order.application,
                )
            ]
        )


def client_credentials(
    request: HttpRequest, params: Params, application: Application, at: datetime, presented: Presented = dpop.NOTHING
) -> dict[str, Any]:
    """RFC 6749 section 4.4, with Auth0's `audience` (or RFC 8707's `resource`) and client grants."""
    require_grant(application, "client_credentials")
    if application.is_public:
        raise ProtocolError("A public client cannot use this grant type.", error="unauthorized_client")
    snapshot = configuration.current()
    asked = scopes.split(params.get("scope", ""))
    api = _api(params, asked, snapshot)
    order = Order(
        application,
        _scope(asked, application, api),
        api.identifier if api else "",
        api.usable_lifetime if api else application.usable.access_token_lifetime,
        presented.spent_by(application),
    )
    if api is not None and api.issues_jwts:
        return _jwt(order, api, snapshot, at)
    return _through_django_oauth_toolkit(request, order)


def _api(params: Params, asked: list[str], snapshot: Snapshot) -> ResourceServer | None:
    targets = {*params.all("audience"), *params.all("resource")}
    if len(targets) > 1:
        raise InvalidTarget("One API per request only.")
    if provisioning.is_asked(targets, asked):
        return provisioning.api()
    if not targets:
        return snapshot.resource_server(signals_api.audience()) if signals_api.is_asked(asked) else None
    api = snapshot.resource_server(targets.pop())
    if api is None:
        raise InvalidTarget("The requested API is not known.", status=403)
    return api


def _scope(asked: list[str], application: Application, api: ResourceServer | None) -> list[str]:
    """What the client grant allows; nothing of a person's (openid, offline_access) is ever among it."""
    if set(asked) & set(PERSONAL):
        raise InvalidScope("There is no person in this grant: openid and offline_access cannot be asked.")
    if api is None:
        return []
    allowed = _allowed(application, api)
    if set(asked) - set(allowed):
        raise InvalidScope("The requested scope exceeds the client grant.")
    return asked or allowed


def _allowed(application: Application, api: ResourceServer) -> list[str]:
    if api.identifier == provisioning.audience():
        if not provisioning.is_let_in(application):
            raise AccessDenied("No connection lets the client provision it.")
        return [provisioning.SCOPE]
    grant = ClientGrant.objects.filter(application=application, resource_server=api).first()
    if grant is None:
        raise AccessDenied("The client has no grant for this API.")
    return [scope for scope in grant.scope if scope in api.scope_values]


def _through_django_oauth_toolkit(request: HttpRequest, order: Order) -> dict[str, Any]:
    form = QueryDict(mutable=True)
    form.update({"grant_type": "client_credentials", "client_id": order.application.client_id})
    if order.scope:
        form["scope"] = " ".join(order.scope)
    request.POST = form  # type: ignore[assignment]
    request.META[_ORDER] = order
    response = TokenView.as_view()(request)
    body: dict[str, Any] = json.loads(response.content)
    if response.status_code != 200:
        raise ProtocolError(
            body.get("error_description", "The request was refused."),
            error=body.get("error", "invalid_request"),
            status=response.status_code,
        )
    answer: dict[str, Any] = {
        name: body[name] for name in ("access_token", "token_type", "expires_in", "scope") if name in body
    }
    return answer | {"token_type": _type(order)}


def _jwt(order: Order, api: ResourceServer, snapshot: Snapshot, at: datetime) -> dict[str, Any]:
    body = claims.access_token(
        issuer=settings.ISSUER,
        sub=subject_of(order.application),
        audience=api.identifier,
        client_id=order.application.client_id,
        scope=" ".join(order.scope),
        at=at,
        lifetime=order.lifetime,
        dialect=api.token_dialect,
        jti=new_secret(),
        permissions=api.permissions(order.scope) if api.tells_permissions else None,
        jkt=order.jkt,
    )
    algorithm = signing_algorithm(api.signing_alg, snapshot.tenant)
    raw = keys.sign_with(keys.active(algorithm, snapshot), body, typ=token_dialects.typ(api.token_dialect))
    return {
        "access_token": raw,
        "token_type": _type(order),
        "expires_in": order.lifetime,
        "scope": " ".join(order.scope),
    }


def _type(order: Order) -> str:
    return "DPoP" if order.jkt else "Bearer"


def subject_of(application: Application) -> str:
    """The `sub` of a token without a person, in Auth0's form: never a person's."""
    return f"{application.client_id}@clients"


def _order(request: OAuthlibRequest) -> Order | None:
    order = request.headers.get(_ORDER)
    return order if isinstance(order, Order) else None
