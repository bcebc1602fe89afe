"""Client metadata of dynamic registration: RFC 7591 section 2, OpenID Connect Registration 1.0 section 2, and the three logout specs.

What we do not know is ignored; what we know and cannot do is refused, so that no client believes that it has it. Here is
the shape of the document, and what strangers may not have though administrators may. What any application may be is
`idp.applications.rules`, which the act asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.protocol import uris
from idp.protocol.clients import (
    AUTH_METHODS,
    CONTENT_ENCRYPTION,
    ENCRYPTION_ALGORITHMS,
    NONE,
    PUBLIC,
    SECRET_BASIC,
    SIGNING_ALGORITHMS,
    SUBJECT_TYPES,
)
from idp.protocol.errors import ProtocolError
from idp.protocol.grant_types import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN
from idp.protocol.params import printable
from idp.protocol.standard_scopes import IDENTITY, OFFLINE_ACCESS
from idp.protocol.strict_json import parse_object

GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)
LONGEST_NAME = 100  # of what a stranger calls itself; people read it when they are asked for consent
LONGEST_URI = 1000
MOST_ITEMS = 50
# Encrypted answers, requests as objects, and bindings of tokens to keys or to ways of asking. Not `request_uris`:
# a client that has them also asks otherwise, and the answer leaves them out.
IMPOSSIBLE = (
    *(f"userinfo_encrypted_response_{part}" for part in ("alg", "enc")),
    *("introspection_signed_response_alg", "authorization_signed_response_alg"),
    *(f"{what}_encrypted_response_{part}" for what in ("introspection", "authorization") for part in ("alg", "enc")),
    *("request_object_signing_alg", "request_object_encryption_alg", "request_object_encryption_enc"),
    *("require_signed_request_object", "tls_client_certificate_bound_access_tokens"),
)


class InvalidRedirectUri(ProtocolError):
    error = "invalid_redirect_uri"


class InvalidClientMetadata(ProtocolError):
    error = "invalid_client_metadata"


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What a client registers, in the types of its members, with every default filled in. Not yet judged by the rulebook."""

    redirect_uris: list[str]
    application_type: str
    token_endpoint_auth_method: str
    grant_types: list[str]
    response_types: list[str]
    client_name: str = ""
    logo_uri: str = ""
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    default_max_age: int | None = None
    default_acr_values: list[str] = field(default_factory=list)
    userinfo_signed_response_alg: str = ""
    scope_claims_in_userinfo_only: bool = True
    id_token_signed_response_alg: str = "RS256"
    id_token_encrypted_response_alg: str = ""
    subject_type: str = PUBLIC
    sector_identifier_uri: str = ""
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False
    post_logout_redirect_uris: list[str] = field(default_factory=list)
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    reauthentication_uri: str = ""
    command_endpoint: str = ""
    frontchannel_logout_uri: str = ""
    frontchannel_logout_session_required: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def is_confidential(self) -> bool:
        return self.token_endpoint_auth_method != NONE


def parse_document(body: bytes) -> dict[str, Any]:
    """The JSON object of a registration; a member that is null or empty text counts as omitted (RFC 7592 section 2.2)."""
    try:
        document = parse_object(body)
    except ValueError as error:
        raise InvalidClientMetadata(f"The body cannot be read as a JSON object: {error}.") from None
    return {name: value for name, value in document.items() if value is not None and value != ""}


def parse(document: Mapping[str, Any]) -> ClientMetadata:
    """The metadata of this registration, or the first mistake in its shape."""
    method = _choice(document, "token_endpoint_auth_method", AUTH_METHODS, SECRET_BASIC)
    application_type = _choice(document, "application_type", ("web", "native"), "web")
    _refuse_impossible(document)
    grants = _choices(document, "grant_types", GRANT_TYPES, [AUTHORIZATION_CODE])
    return ClientMetadata(
        redirect_uris=_uris(document, "redirect_uris", error=InvalidRedirectUri),
        application_type=application_type,
        token_endpoint_auth_method=method,
        grant_types=grants,
        response_types=_response_types(document, grants),
        client_name=_text(document, "client_name", LONGEST_NAME),
        logo_uri=_uri(document, "logo_uri"),
        jwks=_key_set(document),
        jwks_uri=_uri(document, "jwks_uri"),
        id_token_signed_response_alg=_choice(document, "id_token_signed_response_alg", SIGNING_ALGORITHMS, "RS256"),
        policy_uri=_uri(document, "policy_uri"),
        tos_uri=_uri(document, "tos_uri"),
        default_max_age=_seconds(document, "default_max_age"),
        default_acr_values=_texts(document, "default_acr_values"),
        userinfo_signed_response_alg=_choice(document, "userinfo_signed_response_alg", SIGNING_ALGORITHMS, ""),
        scope_claims_in_userinfo_only=_flag(document, "scope_claims_in_userinfo_only", default=True),
        id_token_encrypted_response_alg=_encryption(document),
        subject_type=_choice(document, "subject_type", SUBJECT_TYPES, PUBLIC),
        sector_identifier_uri=_uri(document, "sector_identifier_uri"),
        require_pushed_authorization_requests=_flag(document, "require_pushed_authorization_requests"),
        dpop_bound_access_tokens=_flag(document, "dpop_bound_access_tokens"),
        about=_about(document),
        **_logout(document, confidential=method != NONE),
    )


def _refuse_impossible(document: Mapping[str, Any]) -> None:
    """What a client would rely on and we cannot do. Saying no to it (false, nothing) asks for nothing."""
    for name in IMPOSSIBLE:
        if document.get(name):
            raise InvalidClientMetadata(f"{name} is not supported.")


def scopes(grant_types: Iterable[str]) -> str:
    """The scopes that such a client may ask for; people decide on them, so none is registered narrower (RFC 7591 section 2)."""
    return " ".join((*IDENTITY, *([OFFLINE_ACCESS] if "refresh_token" in grant_types else [])))


def _logout(document: Mapping[str, Any], *, confidential: bool) -> dict[str, Any]:
    """RP-Initiated Logout 1.0 section 3.1, Back-Channel Logout 1.0 section 2.2, Front-Channel Logout 1.0 section 2.

    Each of them allows plain http to confidential clients only. Administrators may register a public client under
    development on loopback; nobody vouches for a stranger.
    """

    def check(uri: str) -> str | None:
        cleartext = not confidential and uri.lower().startswith("http:")
        return "http needs a client that has a secret" if cleartext else None

    return {
        "post_logout_redirect_uris": _uris(document, "post_logout_redirect_uris", check),
        "backchannel_logout_uri": _uri(document, "backchannel_logout_uri", check),
        "backchannel_logout_session_required": _flag(document, "backchannel_logout_session_required"),
        "reauthentication_uri": _uri(document, "reauthentication_uri", check),
        "command_endpoint": _uri(document, "command_endpoint", check),
        "frontchannel_logout_uri": _uri(document, "frontchannel_logout_uri", check),
        "frontchannel_logout_session_required": _flag(document, "frontchannel_logout_session_required"),
    }


def _encryption(document: Mapping[str, Any]) -> str:
    """Its `enc` is A256GCM, which has to be said: the default of Registration 1.0 section 2 is another, which we do not do."""
    algorithm = _choice(document, "id_token_encrypted_response_alg", ("", *ENCRYPTION_ALGORITHMS), "")
    said = document.get("id_token_encrypted_response_enc")
    if said is not None and not algorithm:
        raise InvalidClientMetadata("id_token_encrypted_response_enc needs id_token_encrypted_response_alg.")
    if algorithm and said not in CONTENT_ENCRYPTION:
        raise InvalidClientMetadata(f"id_token_encrypted_response_enc must be {CONTENT_ENCRYPTION[0]}.")
    return algorithm


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    """What we keep and give back, and what changes nothing that we do."""
    web_pages = ("client_uri", "initiate_login_uri")
    about: dict[str, Any] = {name: _uri(document, name, uris.check_web_url) for name in web_pages}
    about |= {name: _text(document, name, LONGEST_NAME) for name in ("software_id", "software_version")}
    about["contacts"] = _texts(document, "contacts")
    about["require_auth_time"] = _flag(document, "require_auth_time")  # every ID token of ours has it
    return {name: value for name, value in about.items() if value}


def _response_types(document: Mapping[str, Any], grants: list[str]) -> list[str]:
    """RFC 7591 section 2.1: response type `code` and grant authorization_code come together."""
    expected = ["code"] if AUTHORIZATION_CODE in grants else []
    found = _choices(document, "response_types", ("code",), expected)
    if found != expected:
        raise InvalidClientMetadata("response_types and grant_types do not fit: code needs authorization_code.")
    return found


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


def _flag(document: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = document.get(name, default)
    if not isinstance(value, bool):
        raise InvalidClientMetadata(f"{name} must be true or false.")
    return value


def _seconds(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidClientMetadata(f"{name} must be a whole number of seconds.")
    return value


def _choice(document: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = document.get(name, default)
    if name in document and value not in allowed:
        raise InvalidClientMetadata(f"{name} must be one of: {', '.join(allowed)}.")
    return str(value)


def _choices(document: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: list[str]) -> list[str]:
    values = _texts(document, name) if name in document else default
    for value in values:
        if value not in allowed:
            raise InvalidClientMetadata(f"{name}: {printable(value)} is not supported.")
    return values


Check = Callable[[str], str | None]


def _key_set(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its keys alone: other members of the set would be kept for nothing."""
    value = document.get("jwks")
    if value is not None and not (isinstance(value, dict) and "keys" in value):
        raise InvalidClientMetadata('jwks must be an object like {"keys": [...]}.')
    return value and {"keys": value["keys"]}


def _uri(document: Mapping[str, Any], name: str, check: Check | None = None) -> str:
    value = _text(document, name, LONGEST_URI)
    if value and check and (reason := check(value)):
        raise InvalidClientMetadata(f"{name}: {reason}")
    return value


def _uris(
    document: Mapping[str, Any],
    name: str,
    check: Check | None = None,
    *,
    error: type[ProtocolError] = InvalidClientMetadata,
) -> list[str]:
    values = _texts(document, name, error)
    for value in values:
        if " " in value:  # several are kept with spaces between them
            raise error(f"{name}: it holds a space, which URLs do not have")
        if check and (reason := check(value)):
            raise error(f"{name}: {reason}")
    return values
