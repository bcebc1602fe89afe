"""Applications, their keys, and the APIs that their tokens are for."""

from __future__ import annotations

from typing import Any

from idp.applications.columns import LONGEST_NAME, NUMBERS
from idp.crypto.keys import ALGORITHMS
from idp.models import AccessMode, AppType, InitiatorMode, TokenEndpointAuthMethod, TokenFormat
from idp.models.applications import TOKEN_LIFETIME
from idp.protocol import grant_types
from idp.protocol.clients import ENCRYPTION_ALGORITHMS, SIGNING_ALGORITHMS, SUBJECT_TYPES
from idp.protocol.initiators import EVERY
from tests.support.openapi.words import (
    Bodies,
    Schema,
    answer,
    body,
    different,
    many,
    mapping,
    one_of,
    ref,
    switch,
    text,
    whole,
)


def seconds(column: str, says: str = "") -> Schema:
    return whole(says or "Seconds.", NUMBERS[column].least, NUMBERS[column].most)


URLS = different(text(pattern=r"^\S+$"))
MOBILE_KEYS: dict[str, dict[str, Schema]] = {
    "android": {"app_package_name": text(maxLength=255), "sha256_cert_fingerprints": URLS},
    "ios": {"team_id": text(maxLength=10), "app_bundle_identifier": text(maxLength=255)},
}
BACKCHANNEL = different(text(pattern=r"^\S+$"), maxItems=1)
LOGOUT: dict[str, Any] = {
    "backchannel_logout_urls": BACKCHANNEL,
    "backchannel_logout_session_required": switch(),
    "backchannel_logout_token_typ": one_of(("logout+jwt", "JWT")),
    "backchannel_logout_include_sub": switch(),
    "frontchannel_logout_uri": text(),
    "frontchannel_logout_session_required": switch(),
}
TOKENS: dict[str, Any] = {
    "rotation_type": one_of(("rotating", "non-rotating")),
    "expiration_type": one_of(("expiring", "non-expiring")),
    "leeway": seconds("refresh_token_leeway"),
    "token_lifetime": seconds("refresh_token_lifetime"),
    "infinite_token_lifetime": switch(),
    "idle_token_lifetime": seconds("refresh_token_idle_lifetime"),
    "infinite_idle_token_lifetime": switch(),
}
SWITCHES = (
    *("is_first_party", "enabled", "allow_logout_url_wildcards", "session_expiry", "require_mfa", "require_pkce"),
    *("scope_claims_in_userinfo_only", "require_pushed_authorization_requests", "dpop_bound_access_tokens"),
    *("strict_client_assertions", "access_tokens_die_with_session", "session_refresh_tokens"),
)
TEXTS = (
    *("logo_uri", "policy_uri", "tos_uri", "sector_identifier_uri", "jwks_uri", "global_token_revocation_uri"),
    *("reauthentication_uri", "command_endpoint"),
)
SAID: dict[str, Any] = {
    "app_type": one_of(AppType.values),
    "token_endpoint_auth_method": one_of(TokenEndpointAuthMethod.values),
    "callbacks": URLS,
    "allowed_logout_urls": URLS,
    "web_origins": URLS,
    "allowed_origins": URLS,
    "default_max_age": seconds("default_max_age"),
    "default_acr_values": different(text()),
    "subject_type": one_of(SUBJECT_TYPES),
    "userinfo_signed_response_alg": one_of(("", *SIGNING_ALGORITHMS)),
    "id_token_encrypted_response_alg": one_of(("", *ENCRYPTION_ALGORITHMS)),
    "jwks": mapping("Public keys only (RFC 7517)."),
    "access_token_lifetime": seconds("access_token_lifetime"),
    "outbound_hosts": URLS,
    "claims": many({}, "Which claims tokens carry; see docs/claims.md."),
    **{name: switch() for name in SWITCHES},
    **{name: text() for name in TEXTS},
}
PUBLIC_KEY = body(
    {"credential_type": one_of(("public_key",)), "pem": text("A public key.", minLength=1, maxLength=4096)},
    name=text(maxLength=128),
    alg=one_of(SIGNING_ALGORITHMS),
    kid=text(maxLength=128),
    parse_expiry_from_cert=switch("True is refused."),
    expires_at=text("Refused: keys do not expire here."),
)
METHODS = body(private_key_jwt=ref("KeysOfClient"))
TAKEN: dict[str, Any] = {
    "client_authentication_methods": METHODS,
    **SAID,
    "client_secret": text("One of your own. Stored as a hash.", minLength=1),
    "grant_types": different(one_of((*grant_types.ALL, "implicit")), "`implicit` is accepted and does nothing."),
    "jwt_configuration": body(alg=one_of(SIGNING_ALGORITHMS), lifetime_in_seconds=seconds("id_token_lifetime")),
    "mobile": body(**{name: body(**keys) for name, keys in MOBILE_KEYS.items()}),
    "addons": body(samlp=mapping("See docs/saml-applications.md.")),
    "oidc_backchannel_logout": body(backchannel_logout_urls=BACKCHANNEL),
    "oidc_logout": body(
        **LOGOUT,
        backchannel_logout_initiators=body(
            mode=one_of(InitiatorMode.values), selected_initiators=different(one_of(EVERY))
        ),
    ),
    "refresh_token": body(**TOKENS),
    "access": body(mode=one_of(AccessMode.values), groups=many({}), loss_signs_out=switch()),
}
NAME = text(minLength=1, maxLength=LONGEST_NAME)
SCOPE = answer({"value": text()}, {"description": text()})
SERVER: dict[str, Any] = {
    "name": text(maxLength=255),
    "scopes": many(body({"value": text(minLength=1)}, description=text())),
    "token_lifetime": whole("Seconds.", TOKEN_LIFETIME.least, TOKEN_LIFETIME.most),
    "token_dialect": one_of(TokenFormat.values),
    "opaque": switch("Tokens without claims, which are dead at once when their session ends. Ours."),
    "signing_alg": one_of(ALGORITHMS),
    "allow_offline_access": switch(),
    "enforce_policies": switch(),
}
COMPONENTS = {
    "Client": answer(
        {
            "client_id": text(),
            "name": text(),
            "app_type": one_of(AppType.values),
            "is_first_party": switch(),
            "oidc_conformant": switch(),
            "enabled": switch(),
            **{name: many(text()) for name in ("callbacks", "allowed_logout_urls", "web_origins", "allowed_origins")},
            "grant_types": many(text()),
            "token_endpoint_auth_method": one_of(TokenEndpointAuthMethod.values),
            "jwt_configuration": answer({"alg": text(), "lifetime_in_seconds": whole()}),
            "oidc_logout": answer(
                {
                    name: LOGOUT[name]
                    for name in LOGOUT
                    if not name.startswith("frontchannel") and name != "backchannel_logout_urls"
                }
                | {
                    "backchannel_logout_urls": many(text()),
                    "backchannel_logout_initiators": answer(
                        {"mode": one_of(InitiatorMode.values)}, {"selected_initiators": many(text())}
                    ),
                },
                {name: LOGOUT[name] for name in LOGOUT if name.startswith("frontchannel")},
            ),
            "refresh_token": answer(TOKENS),
            "require_pushed_authorization_requests": switch(),
            **{name: switch() for name in SWITCHES if name != "session_refresh_tokens"},
            "access_token_lifetime": whole("Seconds."),
            "subject_type": one_of(SUBJECT_TYPES),
            "access": answer(
                {"mode": one_of(AccessMode.values), "loss_signs_out": switch()},
                {"groups": many({})},
            ),
        },
        {
            **{name: text() for name in TEXTS},
            "userinfo_signed_response_alg": text(),
            "id_token_encrypted_response_alg": text(),
            "jwks": mapping(),
            "default_max_age": whole("Seconds."),
            "default_acr_values": many(text()),
            "session_refresh_tokens": switch(),
            "outbound_hosts": many(text()),
            "claims": many({}),
            "mobile": answer({}, {name: answer(keys) for name, keys in MOBILE_KEYS.items()}),
            "addons": answer({"samlp": mapping()}),
            "client_secret": text("Only in the answer that makes it."),
        },
    ),
    "KeysOfClient": body({"credentials": many(ref("KeyOfClient"), minItems=1)}),
    "KeyOfClient": {"anyOf": [PUBLIC_KEY, body({"id": text(minLength=1)})]},
    "Credential": answer(
        {"id": text(), "kid": text(), "alg": text(), "credential_type": text()},
        {"name": text(), "expires_at": {"type": "null"}},
    ),
    "ClientGrant": answer(
        {
            "id": text(),
            "client_id": text(),
            "audience": text(),
            "scope": many(text()),
            "subject_type": text(),
            "is_system": switch(),
        }
    ),
    "ResourceServer": answer(
        {
            "id": text(),
            "name": text(),
            "identifier": text("The audience of its tokens."),
            "allow_offline_access": switch(),
            "skip_consent_for_verifiable_first_party_clients": switch(),
            "subject_type_authorization": mapping(),
            "token_lifetime": whole("Seconds."),
            "token_lifetime_for_web": whole("Seconds."),
            "signing_alg": text(),
            "enforce_policies": switch(),
            "is_system": switch(),
        },
        {"token_dialect": text(), "opaque": switch(), "scopes": many(SCOPE)},
    ),
}
ONE = "clients/{client_id}"
KEY = f"{ONE}/credentials/{{credential_id}}"
SERVER_BODY = body(**SERVER, identifier=text("Cannot change.", maxLength=600))
BODIES = {
    "GET clients": Bodies(ref("Client")),
    "POST clients": Bodies(ref("Client"), body({"name": NAME}, **TAKEN, client_id=text()), also=(409,)),
    f"GET {ONE}": Bodies(ref("Client")),
    f"PATCH {ONE}": Bodies(ref("Client"), body(**TAKEN, name=NAME, client_id=text("Cannot change."))),
    f"DELETE {ONE}": Bodies(),
    f"POST {ONE}/rotate-secret": Bodies(ref("Client")),
    f"GET {ONE}/credentials": Bodies(many(ref("Credential"))),
    f"POST {ONE}/credentials": Bodies(
        ref("Credential"),
        body(
            {"credential_type": one_of(("public_key",)), "pem": text("A public key.", minLength=1, maxLength=4096)},
            name=text(maxLength=128),
            alg=one_of(SIGNING_ALGORITHMS),
            kid=text(maxLength=128),
            parse_expiry_from_cert=switch("True is refused: keys do not expire here."),
            expires_at=text("Is refused: keys do not expire here."),
        ),
        also=(409,),
    ),
    f"GET {KEY}": Bodies(ref("Credential")),
    f"PATCH {KEY}": Bodies(ref("Credential"), mapping()),
    f"DELETE {KEY}": Bodies(),
    "GET client-grants": Bodies(ref("ClientGrant")),
    "POST client-grants": Bodies(
        ref("ClientGrant"),
        body({"client_id": text(minLength=1), "audience": text(minLength=1)}, scope=different(text())),
        also=(404, 409),
    ),
    "GET client-grants/{grant_id}": Bodies(ref("ClientGrant")),
    "PATCH client-grants/{grant_id}": Bodies(ref("ClientGrant"), body(scope=different(text()))),
    "DELETE client-grants/{grant_id}": Bodies(),
    "GET resource-servers": Bodies(ref("ResourceServer")),
    "POST resource-servers": Bodies(
        ref("ResourceServer"), body({"identifier": text(minLength=1, maxLength=600)}, **SERVER), also=(409,)
    ),
    "GET resource-servers/{named}": Bodies(ref("ResourceServer")),
    "PATCH resource-servers/{named}": Bodies(ref("ResourceServer"), SERVER_BODY),
    "DELETE resource-servers/{named}": Bodies(),
}
