"""Client metadata of dynamic registration: RFC 7591 section 2, OpenID Connect Registration 1.0 section 2, and the three logout specs.

What we do not know is ignored; what we know and cannot do is refused, so that no client believes that it has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.protocol import uris
from idp.protocol.errors import ProtocolError
from idp.protocol.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN
from idp.protocol.params import printable
from idp.protocol.standard_scopes import IDENTITY, OFFLINE_ACCESS
from idp.protocol.strict_json import parse_object

GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)
AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
SIGNING_ALGORITHMS = ("RS256", "ES256")
LONGEST_NAME = 100
LONGEST_URI = 1000
MOST_ITEMS = 50
MOST_KEYS = 20
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2, 6.4.1


class InvalidRedirectUri(ProtocolError):
    error = "invalid_redirect_uri"


class InvalidClientMetadata(ProtocolError):
    error = "invalid_client_metadata"


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What a client registers; every value is checked and every default is filled in. Only whether `jwks` are keys is open."""

    redirect_uris: list[str]
    application_type: str
    token_endpoint_auth_method: str
    grant_types: list[str]
    response_types: list[str]
    client_name: str = ""
    logo_uri: str = ""
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""
    id_token_signed_response_alg: str = "RS256"
    post_logout_redirect_uris: list[str] = field(default_factory=list)
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str = ""
    frontchannel_logout_session_required: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def is_confidential(self) -> bool:
        return self.token_endpoint_auth_method != "none"


def parse_document(body: bytes) -> dict[str, Any]:
    """The JSON object of a registration; a member that is null or empty text counts as omitted (RFC 7592 section 2.2)."""
    try:
        document = parse_object(body)
    except ValueError as error:
        raise InvalidClientMetadata(f"The body cannot be read as a JSON object: {error}.") from None
    return {name: value for name, value in document.items() if value is not None and value != ""}


def parse(document: Mapping[str, Any], *, issuer: str) -> ClientMetadata:
    """The metadata of this registration, or the first mistake in it. `issuer` is ours: nobody registers pages of it."""
    method = _choice(document, "token_endpoint_auth_method", AUTH_METHODS, "client_secret_basic")
    application_type = _choice(document, "application_type", ("web", "native"), "web")
    _choice(document, "subject_type", ("public",), "public")
    grants = _choices(document, "grant_types", GRANT_TYPES, [AUTHORIZATION_CODE])
    redirects = _redirect_uris(document, application_type, needed=AUTHORIZATION_CODE in grants)
    jwks, jwks_uri = _keys(document, needed=method == "private_key_jwt")
    return ClientMetadata(
        redirect_uris=redirects,
        application_type=application_type,
        token_endpoint_auth_method=method,
        grant_types=grants,
        response_types=_response_types(document, grants),
        client_name=_text(document, "client_name", LONGEST_NAME),
        logo_uri=_uri(document, "logo_uri", uris.check_web_url),
        jwks=jwks,
        jwks_uri=jwks_uri,
        id_token_signed_response_alg=_choice(document, "id_token_signed_response_alg", SIGNING_ALGORITHMS, "RS256"),
        about=_about(document),
        **_logout(document, redirects, issuer, confidential=method != "none", native=application_type == "native"),
    )


def scopes(grant_types: Iterable[str]) -> str:
    """The scopes that such a client may ask for; people decide on them, so none is registered narrower (RFC 7591 section 2)."""
    return " ".join((*IDENTITY, *([OFFLINE_ACCESS] if "refresh_token" in grant_types else [])))


def _logout(
    document: Mapping[str, Any], redirects: list[str], issuer: str, *, confidential: bool, native: bool
) -> dict[str, Any]:
    """RP-Initiated Logout 1.0 section 3.1, Back-Channel Logout 1.0 section 2.2, Front-Channel Logout 1.0 section 2.

    Each of them allows plain http to confidential clients only.
    """

    def check_logout(uri: str) -> str | None:
        return _cleartext(uri, confidential) or uris.check_logout_url(uri, native=native)

    def check_backchannel(uri: str) -> str | None:
        return _cleartext(uri, confidential) or uris.check_backchannel_uri(uri)

    def check_frontchannel(uri: str) -> str | None:
        return _cleartext(uri, confidential) or uris.check_frontchannel_uri(uri, redirects, issuer=issuer)

    return {
        "post_logout_redirect_uris": _uris(document, "post_logout_redirect_uris", check_logout),
        "backchannel_logout_uri": _uri(document, "backchannel_logout_uri", check_backchannel),
        "backchannel_logout_session_required": _flag(document, "backchannel_logout_session_required"),
        "frontchannel_logout_uri": _uri(document, "frontchannel_logout_uri", check_frontchannel),
        "frontchannel_logout_session_required": _flag(document, "frontchannel_logout_session_required"),
    }


def _cleartext(uri: str, confidential: bool) -> str | None:
    return None if confidential or not uri.lower().startswith("http:") else "http needs a client that has a secret"


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    """What we keep and give back, and what changes nothing that we do."""
    web_pages = ("client_uri", "policy_uri", "tos_uri", "initiate_login_uri")
    about: dict[str, Any] = {name: _uri(document, name, uris.check_web_url) for name in web_pages}
    about |= {name: _text(document, name, LONGEST_NAME) for name in ("software_id", "software_version")}
    about["contacts"] = _texts(document, "contacts")
    return {name: value for name, value in about.items() if value}


def _redirect_uris(document: Mapping[str, Any], application_type: str, *, needed: bool) -> list[str]:
    native = application_type == "native"
    found = _uris(
        document, "redirect_uris", lambda uri: uris.check_redirect_uri(uri, native=native), InvalidRedirectUri
    )
    if needed and not found:
        raise InvalidRedirectUri("redirect_uris is missing.")
    return found


def _response_types(document: Mapping[str, Any], grants: list[str]) -> list[str]:
    """RFC 7591 section 2.1: response type `code` and grant authorization_code come together."""
    expected = ["code"] if AUTHORIZATION_CODE in grants else []
    found = _choices(document, "response_types", ("code",), expected)
    if found != expected:
        raise InvalidClientMetadata("response_types and grant_types do not fit: code needs authorization_code.")
    return found


def _keys(document: Mapping[str, Any], *, needed: bool) -> tuple[dict[str, Any] | None, str]:
    if "jwks" in document and "jwks_uri" in document:
        raise InvalidClientMetadata("jwks and jwks_uri exclude each other.")
    if needed and not ("jwks" in document or "jwks_uri" in document):
        raise InvalidClientMetadata("private_key_jwt needs jwks or jwks_uri.")
    jwks = _key_set(document["jwks"]) if "jwks" in document else None
    return jwks, _uri(document, "jwks_uri", uris.check_web_url)


def _key_set(value: Any) -> dict[str, Any]:
    """RSA and EC keys without private members: a private one must never have been sent, a symmetric one proves nothing."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise InvalidClientMetadata(f"jwks must be an object with 1 to {MOST_KEYS} keys.")
    for key in keys:
        if not isinstance(key, dict) or key.get("kty") not in ("RSA", "EC") or PRIVATE_MEMBERS & key.keys():
            raise InvalidClientMetadata("jwks must hold public RSA and EC keys only.")
    return {"keys": keys}


# --- reading single members ---------------------------------------------------------------------------------------------
def _text(document: Mapping[str, Any], name: str, limit: int) -> str:
    value = document.get(name, "")
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise InvalidClientMetadata(f"{name} must be printable text of at most {limit} characters.")
    return value


def _texts(document: Mapping[str, Any], name: str, error: type[ProtocolError] = InvalidClientMetadata) -> list[str]:
    """An array of text without repetition, in its order."""
    value = document.get(name, [])
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise error(f"{name} must be an array of at most {MOST_ITEMS} items.")
    if not all(isinstance(item, str) and item.isprintable() and 0 < len(item) <= LONGEST_URI for item in value):
        raise error(f"Every item of {name} must be printable text of at most {LONGEST_URI} characters.")
    return list(dict.fromkeys(value))


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise InvalidClientMetadata(f"{name} must be true or false.")
    return value


def _choice(document: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = document.get(name, default)
    if value not in allowed:
        raise InvalidClientMetadata(f"{name} must be one of: {', '.join(allowed)}.")
    return str(value)


def _choices(document: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: list[str]) -> list[str]:
    values = _texts(document, name) if name in document else default
    for value in values:
        if value not in allowed:
            raise InvalidClientMetadata(f"{name}: {printable(value)} is not supported.")
    return values


Check = Callable[[str], str | None]


def _uri(document: Mapping[str, Any], name: str, check: Check) -> str:
    value = _text(document, name, LONGEST_URI)
    if value and (reason := check(value)):
        raise InvalidClientMetadata(f"{name}: {reason}")
    return value


def _uris(
    document: Mapping[str, Any], name: str, check: Check, error: type[ProtocolError] = InvalidClientMetadata
) -> list[str]:
    values = _texts(document, name, error)
    for value in values:
        if reason := check(value):
            raise error(f"{name}: {reason}")
    return values
