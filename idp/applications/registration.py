"""Acts of dynamic client registration: make, read, replace and remove an application (RFC 7591, RFC 7592)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare

from idp.applications import rules, trail
from idp.applications.client_auth import secret_matches
from idp.http.requests import RequestFacts
from idp.models import Application, AppType, ClientRegistration, TokenEndpointAuthMethod
from idp.protocol import uris
from idp.protocol.clients import CONTENT_ENCRYPTION
from idp.protocol.errors import InvalidToken
from idp.protocol.grant_types import AUTHORIZATION_CODE
from idp.protocol.opaque import digest, new_secret
from idp.protocol.registration import ClientMetadata, InvalidClientMetadata, InvalidRedirectUri, scopes

log = structlog.get_logger(__name__)
# Column -> its name in a registration. What an administrator added to the application is not the client's to hear of.
METADATA = {metadata.name: metadata.name for metadata in fields(ClientMetadata)} | {
    "name": "client_name",
    "app_type": "application_type",
}
OF_THE_SAME_NAME = (
    *("id_token_encrypted_response_alg", "subject_type", "sector_identifier_uri", "reauthentication_uri"),
    "command_endpoint",
)
DEMANDS = ("require_pushed_authorization_requests", "dpop_bound_access_tokens")
NOT_TO_BE_SENT = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration with what is in clear only now: the token, and the secret if one was just made."""

    registration: ClientRegistration
    access_token: str
    client_secret: str = ""


@transaction.atomic
def register(metadata: ClientMetadata, *, facts: RequestFacts, at: datetime) -> Registered:
    """A new application. Nobody vouched for it, so people are asked for their consent."""
    application, secret = _new(metadata)
    application.save()
    token = new_secret()
    registration = ClientRegistration.objects.create(
        application=application,
        token_hash=digest(token),
        metadata=metadata.about,
        created_at=at,
        created_ip=facts.ip,
    )
    trail.changed(None, application, actor=f"app:{application.client_id}", at=at, facts=facts)
    log.info("application.registered", client_id=application.client_id, ip=facts.ip)
    return Registered(registration, token, secret)


def check(metadata: ClientMetadata) -> None:
    """Raises what `register()` would have against it; writes nothing."""
    _new(metadata)


def _new(metadata: ClientMetadata) -> tuple[Application, str]:
    application = Application(is_first_party=False)
    secret = _fill(application, metadata, secret_before=False)
    refuse(application)
    return application, secret


def authenticate(client_id: str, token: str) -> Registered:
    """The registration that this token manages; a token of another client is as wrong as none (RFC 7592 section 2)."""
    registration = (
        ClientRegistration.objects.select_related("application").filter(token_hash=digest(token)).first()
        if token
        else None
    )
    if registration is None or not constant_time_compare(registration.application.client_id, client_id):
        raise InvalidToken("The registration access token is not valid for this client.")
    if not registration.application.enabled:
        raise InvalidToken("This application is disabled.", status=403)
    return Registered(registration, token)


@transaction.atomic
def replace(
    found: Registered, document: Mapping[str, Any], metadata: ClientMetadata, *, facts: RequestFacts, at: datetime
) -> Registered:
    """Every value of the client is replaced, omitted ones by their defaults (RFC 7592 section 2.2)."""
    application = Application.objects.select_for_update().filter(pk=found.registration.application_id).first()
    if application is None:  # removed a moment ago
        raise InvalidToken("The registration access token is not valid for this client.")
    registration, before = found.registration, copy.copy(application)
    refuse_foreign(document, application)
    if set(metadata.redirect_uris) - set(application.callbacks):
        application.is_first_party = False  # an administrator may have vouched for it, but not for where it is now
    secret = _fill(application, metadata, secret_before=application.has_secret)
    refuse(application)
    application.save()
    trail.changed(before, application, actor=f"app:{application.client_id}", at=at, facts=facts)
    registration.application = application
    registration.metadata = metadata.about
    registration.save()
    log.info("application.registration_replaced", client_id=application.client_id)
    return Registered(registration, found.access_token, secret)


@transaction.atomic
def remove(found: Registered, *, facts: RequestFacts, at: datetime) -> None:
    """The application goes, and with it every code, token and consent of it (RFC 7592 section 2.3)."""
    application = found.registration.application
    trail.deleted(application, actor=f"app:{application.client_id}", at=at, facts=facts)
    application.delete()
    log.info("application.registration_removed", client_id=application.client_id)


def refuse_foreign(document: Mapping[str, Any], application: Application) -> None:
    """RFC 7592 section 2.2: client_id must be this one, client_secret the current one, and the server's values stay away."""
    if document.get("client_id") != application.client_id:
        raise InvalidClientMetadata("client_id must be the one that is being replaced.")
    if sent := [name for name in NOT_TO_BE_SENT if name in document]:
        raise InvalidClientMetadata(f"{sent[0]} must not be sent.")
    secret = document.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and secret_matches(secret, application.client_secret)):
        raise InvalidClientMetadata("client_secret is not the current one.")


def describe(registered: Registered) -> dict[str, Any]:
    """The client information response (RFC 7591 section 3.2.1). We keep secrets as digests: read later, they are absent."""
    application = registered.registration.application
    document: dict[str, Any] = {
        "client_id": application.client_id,
        "client_id_issued_at": int(registered.registration.created_at.timestamp()),
        "registration_client_uri": f"{settings.ISSUER}oidc/register/{application.client_id}",
        "registration_access_token": registered.access_token,
        **registered.registration.metadata,
        **_metadata(application),
    }
    if registered.client_secret:
        document |= {"client_secret": registered.client_secret, "client_secret_expires_at": 0}
    return document


def _metadata(application: Application) -> dict[str, Any]:
    """What is registered as columns; empty values are left out."""
    values: dict[str, Any] = {
        "client_name": application.name,
        "application_type": "native" if application.app_type == AppType.NATIVE else "web",
        "redirect_uris": application.callbacks,
        "grant_types": application.grant_types,
        "response_types": ["code"] if AUTHORIZATION_CODE in application.grant_types else [],
        "scope": scopes(application.grant_types),
        "token_endpoint_auth_method": application.token_endpoint_auth_method,
        "jwks": application.jwks,
        "jwks_uri": application.jwks_uri,
        "logo_uri": application.logo_uri,
        "policy_uri": application.policy_uri,
        "tos_uri": application.tos_uri,
        "default_max_age": application.default_max_age,
        "default_acr_values": application.default_acr_values,
        "userinfo_signed_response_alg": application.userinfo_signed_response_alg,
        "scope_claims_in_userinfo_only": application.scope_claims_in_userinfo_only,
        "subject_type": application.subject_type,
        "sector_identifier_uri": application.sector_identifier_uri,
        "reauthentication_uri": application.reauthentication_uri,
        "command_endpoint": application.command_endpoint,
        "id_token_signed_response_alg": application.id_token_signed_response_alg,
        "post_logout_redirect_uris": application.allowed_logout_urls,
    }
    for switch in DEMANDS:
        if getattr(application, switch):
            values[switch] = True
    if application.id_token_encrypted_response_alg:
        values["id_token_encrypted_response_alg"] = application.id_token_encrypted_response_alg
        values["id_token_encrypted_response_enc"] = CONTENT_ENCRYPTION[0]
    if application.backchannel_logout_uri:
        values["backchannel_logout_uri"] = application.backchannel_logout_uri
        values["backchannel_logout_session_required"] = application.backchannel_logout_session_required
    if application.frontchannel_logout_uri:
        values["frontchannel_logout_uri"] = application.frontchannel_logout_uri
        values["frontchannel_logout_session_required"] = application.frontchannel_logout_session_required
    return {name: value for name, value in values.items() if value not in ("", None, []) or name == "response_types"}


def refuse(application: Application) -> None:
    """The rules of every entrance, in the names of a registration."""
    for problem in rules.problems(application):
        if name := METADATA.get(problem.field):
            error = InvalidRedirectUri if problem.field == "redirect_uris" else InvalidClientMetadata
            raise error(f"{name}: {problem.reason}.")


def _fill(application: Application, metadata: ClientMetadata, *, secret_before: bool) -> str:
    """Write the metadata into the row; returns a new secret in clear if one had to be made."""
    application.name = metadata.client_name or _host(metadata) or "Unnamed application"
    application.app_type = _app_type(metadata)
    application.token_endpoint_auth_method = TokenEndpointAuthMethod(metadata.token_endpoint_auth_method)
    application.grant_types = metadata.grant_types
    application.redirect_uris = " ".join(metadata.redirect_uris)
    application.post_logout_redirect_uris = " ".join(metadata.post_logout_redirect_uris)
    application.allowed_origins = " ".join(_origins(metadata)) if application.app_type == AppType.SPA else ""
    application.logo_uri = metadata.logo_uri
    application.policy_uri = metadata.policy_uri
    application.tos_uri = metadata.tos_uri
    application.default_max_age = metadata.default_max_age
    application.default_acr_values = metadata.default_acr_values
    application.userinfo_signed_response_alg = metadata.userinfo_signed_response_alg
    application.scope_claims_in_userinfo_only = metadata.scope_claims_in_userinfo_only
    application.jwks = metadata.jwks
    application.jwks_uri = metadata.jwks_uri
    application.id_token_signed_response_alg = metadata.id_token_signed_response_alg
    for name in OF_THE_SAME_NAME:
        setattr(application, name, getattr(metadata, name))
    for name in DEMANDS:  # an administrator may have made them, and what holds the registration may be stolen
        setattr(application, name, getattr(application, name) or getattr(metadata, name))
    application.backchannel_logout_uri = metadata.backchannel_logout_uri
    application.backchannel_logout_session_required = metadata.backchannel_logout_session_required
    application.frontchannel_logout_uri = metadata.frontchannel_logout_uri
    application.frontchannel_logout_session_required = metadata.frontchannel_logout_session_required
    if not application.has_secret:
        application.client_secret = ""
        return ""
    if secret_before:
        return ""
    secret = application.client_secret = new_secret()
    return secret


def _app_type(metadata: ClientMetadata) -> AppType:
    if metadata.application_type == "native":
        return AppType.NATIVE
    return AppType.REGULAR_WEB if metadata.is_confidential else AppType.SPA


def _origins(metadata: ClientMetadata) -> list[str]:
    """A page that registered itself calls the token endpoint from where its redirect URIs are."""
    return list(dict.fromkeys(uris.origin(uri) for uri in metadata.redirect_uris))


def _host(metadata: ClientMetadata) -> str:
    return next((urlsplit(uri).hostname or "" for uri in metadata.redirect_uris), "")
