"""Of which type each option of a connection is; whether its value makes sense to its strategy is `strategies`."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from idp.connections.options import EMAIL_SIGN_IN, ONE_OR_SEVERAL, PASSWORD_POLICIES
from idp.protocol import uris
from idp.protocol.text import storable

BOOLEANS = frozenset(
    {"brute_force_protection", "disable_signup", "requires_username", "id_token_session_expiry_supported"}
    | {"disableSignout", "signSAMLRequest", "start_tls", "own_callback", "email_is_verified"}
    | {"require_mfa", "trust_upstream_mfa"}
)
LISTS = frozenset(
    {"domain_aliases", "signup_domains", "id_token_signed_response_algs", "thumbprints", "servers", "mfa_acr_values"}
)
MAPPINGS = frozenset({"upstream_params", "logout", "oidc_metadata", "attribute_map", "fieldsMap", "idpinitiated"})
MAPPINGS |= {"shared_signals", "passkey_options"}
URLS = frozenset(
    {"discovery_url", "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"}
    | {"icon_url", "metadataUrl", "signInEndpoint", "signOutEndpoint"}
)
CHOICES = {
    "passwordPolicy": PASSWORD_POLICIES,
    "email_sign_in": EMAIL_SIGN_IN,
    "protocol": ("oidc", "samlp"),
    "wants_signed": ("either", "response", "assertion", "both"),
}
LONGEST = 200_000  # characters; the metadata document of a federation
_PRIVATE = b"PRIVATE KEY-----"


def problem(key: str, value: Any) -> str | None:
    """What is wrong with the value of a known option, in words that follow its name."""
    return storable.problem(value) or _of_type(key, value) or _holds_private_key(value)


def _of_type(key: str, value: Any) -> str | None:
    if key in BOOLEANS:
        return None if isinstance(value, bool) else "must be true or false"
    if key in MAPPINGS:
        return None if isinstance(value, dict) else "must be an object"
    if key == "mfa_acr_values" and isinstance(value, list) and not all(map(_is_class, value)):
        return "must be a list of names without spaces, of 255 characters at most"
    if key in LISTS:
        return _texts(value) if isinstance(value, list) else "must be a list of texts"
    if key in ONE_OR_SEVERAL and isinstance(value, list):
        return _texts(value)
    return _text(key, value)


def _is_class(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 255 and name.isprintable() and " " not in name


def _texts(value: list[Any]) -> str | None:
    if not all(isinstance(item, str) and len(item) <= LONGEST for item in value):
        return "must be a list of texts"
    return "has a text twice" if len(set(value)) < len(value) else None


def _text(key: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if len(value) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if key in CHOICES and value not in CHOICES[key]:
        return f"must be one of {', '.join(CHOICES[key])}, not {value}"
    return uris.check_web_url(value) if key in URLS and value else None


def _holds_private_key(value: Any) -> str | None:
    """Beside a certificate it would be kept in clear; secret options are sealed, and are not asked here."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and (_PRIVATE in text.encode() or _PRIVATE in _decoded(text)) for text in texts):
        return "holds a private key: give the certificate only, and make a new key if others have seen this one"
    return None


def _decoded(text: str) -> bytes:
    """Auth0 keeps PEM once more in Base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
