"""An entry of the tenant file's `clients`: Auth0's field names on the left, columns of Application on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from idp.keys import ALGORITHMS
from idp.models import AppType, InitiatorMode, TokenEndpointAuthMethod
from idp.protocol import grant_types, uris
from idp.protocol.initiators import Initiator
from idp.tenant_reader import Reader, given


@dataclass(slots=True)
class Client:
    path: str
    name: str
    client_id: str | None
    secret: str | None
    columns: dict[str, Any]


def client(reader: Reader) -> Client:
    app_type = reader.choice("app_type", AppType.values)
    native = app_type == AppType.NATIVE
    wildcards = reader.boolean("allow_logout_url_wildcards")
    method = reader.choice("token_endpoint_auth_method", TokenEndpointAuthMethod.values)
    if method is None and not reader.has("token_endpoint_auth_method") and app_type in (AppType.SPA, AppType.NATIVE):
        method = TokenEndpointAuthMethod.NONE.value
    callbacks = reader.texts("callbacks", check=lambda uri: uris.check_redirect_uri(uri, native=native))
    logout_urls = reader.texts(
        "allowed_logout_urls",
        check=lambda url: uris.check_logout_url(url, native=native, wildcards=bool(wildcards)),
    )
    origins = reader.texts("allowed_origins", check=uris.check_origin)
    columns = given(
        app_type=app_type,
        token_endpoint_auth_method=method,
        grant_types=_grant_types(reader, app_type),
        redirect_uris=None if callbacks is None else " ".join(callbacks),
        post_logout_redirect_uris=None if logout_urls is None else " ".join(logout_urls),
        allow_logout_url_wildcards=wildcards,
        web_origins=reader.texts("web_origins", check=uris.check_origin),
        allowed_origins=None if origins is None else " ".join(origins),
        logo_uri=reader.text("logo_uri", check=uris.check_web_url),
        is_first_party=reader.boolean("is_first_party"),
        enabled=reader.boolean("enabled"),
        require_pkce=reader.boolean("require_pkce"),
        jwks=reader.mapping("jwks"),
        jwks_uri=reader.text("jwks_uri", check=uris.check_web_url),
        access_token_lifetime=reader.integer("access_token_lifetime", least=1),
        access_tokens_die_with_session=reader.boolean("access_tokens_die_with_session"),
        session_refresh_tokens=reader.boolean("session_refresh_tokens"),
        global_token_revocation_uri=reader.text("global_token_revocation_uri", check=uris.check_backchannel_uri),
        outbound_hosts=reader.texts("outbound_hosts", check=uris.check_host),
    )
    columns |= _id_token(reader) | _oidc_logout(reader) | _refresh_token(reader)
    entry = Client(
        path=reader.path,
        name=reader.text("name", required=True, longest=255) or "",
        client_id=reader.text("client_id", check=_client_id, longest=100),
        secret=reader.secret("client_secret"),
        columns=columns,
    )
    if entry.secret and method == TokenEndpointAuthMethod.NONE:
        reader.problem("client_secret", "a public client (token_endpoint_auth_method none) has no secret")
    if entry.secret and entry.secret.startswith("client_sha256$"):
        reader.problem("client_secret", "looks like a stored hash: give the secret itself")
    reader.done()
    return entry


def _client_id(value: str) -> str | None:
    return None if value.isascii() and value.isprintable() and " " not in value else "must be printable ASCII, no space"


def _grant_types(reader: Reader, app_type: str | None) -> list[str] | None:
    grants = reader.texts("grant_types", choices=grant_types.ALL)
    if grants is None and not reader.has("grant_types") and app_type == AppType.NON_INTERACTIVE:
        return ["client_credentials"]
    return grants


def _id_token(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("jwt_configuration")
    if inner is None:
        return {}
    columns = given(
        id_token_signed_response_alg=inner.choice("alg", ALGORITHMS),
        id_token_lifetime=inner.integer("lifetime_in_seconds", least=1),
    )
    inner.done()
    return columns


def _oidc_logout(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("oidc_logout")
    if inner is None:
        return {}
    urls = inner.texts("backchannel_logout_urls", check=uris.check_backchannel_uri)
    if urls and len(urls) > 1:
        inner.problem("backchannel_logout_urls", "one URL is supported")
    columns = given(
        backchannel_logout_uri=None if urls is None else "".join(urls[:1]),
        backchannel_logout_session_required=inner.boolean("backchannel_logout_session_required"),
        backchannel_logout_token_typ=inner.choice("backchannel_logout_token_typ", ("logout+jwt", "JWT")),
        backchannel_logout_include_sub=inner.boolean("backchannel_logout_include_sub"),
        # Its rule depends on the callbacks, which may be those of the row: `tenant` checks it.
        frontchannel_logout_uri=inner.text("frontchannel_logout_uri"),
        frontchannel_logout_session_required=inner.boolean("frontchannel_logout_session_required"),
    )
    if initiators := inner.inner("backchannel_logout_initiators"):
        columns |= given(
            backchannel_logout_initiators_mode=initiators.choice("mode", InitiatorMode.values),
            backchannel_logout_initiators=initiators.texts(
                "selected_initiators", choices=[initiator.value for initiator in Initiator]
            ),
        )
        initiators.done()
    inner.done()
    return columns


def _refresh_token(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("refresh_token")
    if inner is None:
        return {}
    rotation = inner.choice("rotation_type", ("rotating", "non-rotating"))
    expiration = inner.choice("expiration_type", ("expiring", "non-expiring"))
    columns = given(
        refresh_token_rotating=rotation and rotation == "rotating",
        refresh_token_leeway=inner.integer("leeway", most=600),
        refresh_token_lifetime=inner.integer("token_lifetime", least=1),
        refresh_token_idle_lifetime=inner.integer("idle_token_lifetime", least=1),
    )
    if inner.boolean("infinite_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_lifetime"] = None
    if inner.boolean("infinite_idle_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_idle_lifetime"] = None
    inner.done()
    return columns
