"""The rules of an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from idp.protocol import assurance
from idp.protocol.assurance import AskedAcr
from idp.protocol.errors import (
    InvalidRequest,
    ProtocolError,
    UnmetAuthenticationRequirements,
    UnsupportedResponseType,
)
from idp.protocol.jwt_profile import decoded
from idp.protocol.params import LONGEST_STATE, Params
from idp.protocol.strict_json import parse_object
from sessions_app.protocol import dpop, pkce, scopes

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
MARKER = "curfew_marker"  # ours: says when this browser was sent to the login page for this request
# ours: the session's identity provider upstream was asked for a second factor for this request, or is about to be
ASKED_UPSTREAM = "curfew_asked_upstream"
REPOSTED = "curfew_reposted"  # ours: a cross-site POST that our own page sent again
KEPT = "curfew_request"  # ours: stands for a request that is too long for an address
OURS = (MARKER, REPOSTED, KEPT, ASKED_UPSTREAM)
LONGEST_REQUEST = 16_384  # characters of all names and values
LONGEST_OF_OURS = 1000
_OF_CHANNEL = ("response_mode", "state")


class ResponseMode(StrEnum):
    QUERY = "query"
    FRAGMENT = "fragment"
    FORM_POST = "form_post"
    WEB_MESSAGE = "web_message"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that follows the rules; the client, its redirect URI and the response mode were found before."""

    scope: list[str]
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    id_token_hint: str = ""
    connection: str = ""
    targets: list[str] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    dpop_jkt: str = ""
    acr: AskedAcr = field(default_factory=AskedAcr)

    @property
    def silent(self) -> bool:
        return "none" in self.prompt

    @property
    def wants_login(self) -> bool:
        return bool(self.prompt & {"login", "select_account"})


def channel(params: Params) -> tuple[ResponseMode, str]:
    """By which mode the answer goes, errors too, and the state that goes with it ("": none).

    A request object is refused. What it says of these two is looked at unverified, since anybody may ask for them anyway,
    and its client waits there; where the answer goes is never read from it.
    """
    said = [(name, value) for name, value in _said_in(params.get("request", "")).items() if name in _OF_CHANNEL]
    names = {name for name, _ in said}
    asked = Params([*(pair for pair in params.pairs if pair[0] not in names), *said]) if said else params
    return response_mode(asked), state_of(asked)


def _said_in(request_object: str) -> Mapping[str, str]:
    """The text members of a JWT's claims, whoever signed it; of what is no JWT, nothing."""
    if not request_object:
        return {}
    try:
        claims = parse_object(decoded(request_object.split(".")[1]))
    except (ValueError, IndexError):
        return {}
    return {name: value for name, value in claims.items() if isinstance(value, str)}


def response_mode(params: Params) -> ResponseMode:
    """Where the answer, errors too, goes. What cannot be understood is answered by the response type's default."""
    words = params.get("response_type", "code").split()
    default = ResponseMode.FRAGMENT if {"token", "id_token"} & set(words) else ResponseMode.QUERY
    try:
        mode = ResponseMode(params.get("response_mode", default))
    except ValueError:
        return default
    # A token must never be asked into a query (OAuth 2.0 Multiple Response Types section 3.0).
    return default if mode is ResponseMode.QUERY else mode


def state_of(params: Params) -> str:
    """The state to give back; none if it was given twice, since neither is the one, or is too long to be given back."""
    state = params.get("state", "")
    return "" if "state" in params.duplicates or len(state) > LONGEST_STATE else state


def too_long(params: Params) -> str:
    """What is too long in a request that we would have to keep and repeat; "" if nothing is."""
    if len(params.get("state", "")) > LONGEST_STATE:
        return f"state is longer than {LONGEST_STATE} characters."
    if any(len(params.get(name, "")) > LONGEST_OF_OURS for name in OURS):
        return "A parameter that we added is too long."
    if sum(len(name) + len(value) for name, value in params.pairs if name not in OURS) > LONGEST_REQUEST:
        return f"The request is longer than {LONGEST_REQUEST} characters."
    return ""


def read(
    params: Params,
    *,
    pkce_required: bool,
    default_max_age: int | None = None,
    default_acr_values: Iterable[str] = (),
) -> AuthorizationRequest:
    """Check everything that needs neither the database nor the session; the first broken rule is raised."""
    params.refuse_duplicates()
    if reason := too_long(params):
        raise InvalidRequest(reason)
    _refuse_unsupported(params)
    prompt = frozenset(params.get("prompt", "").split())
    if prompt - PROMPTS:
        raise InvalidRequest("prompt must be none, login, consent or select_account.")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequest("prompt=none cannot be combined with another value.")
    challenge = params.get("code_challenge", "")
    pkce.check_challenge(challenge, params.get("code_challenge_method", ""), required=pkce_required)
    if len(params.get("nonce", "")) > 255:
        raise InvalidRequest("nonce is longer than 255 characters.")
    claims = read_claims(params.get("claims", ""))
    by_parameter = params["acr_values"].split() if "acr_values" in params else default_acr_values
    return AuthorizationRequest(
        scope=scopes.split(params.get("scope", "")),
        state=params.get("state", ""),
        nonce=params.get("nonce", ""),
        code_challenge=challenge,
        prompt=prompt,
        max_age=_max_age(params["max_age"]) if "max_age" in params else default_max_age,
        id_token_hint=params.get("id_token_hint", ""),
        connection=params.get("connection", ""),
        targets=_targets(params),
        claims=claims,
        acr=asked_acr(claims, by_parameter),
        dpop_jkt=_thumbprint(params.get("dpop_jkt", "")),
    )


def _refuse_unsupported(params: Params) -> None:
    for name, error in (
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ):
        if name in params:
            raise ProtocolError(f"The parameter {name} is not supported.", error=error)
    if params.require("response_type") != "code":
        raise UnsupportedResponseType("The only supported response_type is code.")
    if "response_mode" in params and params["response_mode"] not in list(ResponseMode):
        raise InvalidRequest("response_mode must be query, fragment, form_post or web_message.")


def _max_age(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise InvalidRequest("max_age must be a number of seconds.")
    return int(text)


def _thumbprint(text: str) -> str:
    """RFC 9449 section 10: the key that the code will be bound to."""
    if text and not dpop.is_thumbprint(text):
        raise InvalidRequest("dpop_jkt must be a SHA-256 JWK thumbprint of 43 characters.")
    return text


def _targets(params: Params) -> list[str]:
    """Auth0's `audience` and RFC 8707's `resource`: identifiers of the API that the access token is for."""
    return list(dict.fromkeys([*params.all("audience"), *params.all("resource")]))


def read_claims(text: str) -> dict[str, Any]:
    """OpenID Connect Core section 5.5: `{"userinfo": {...}, "id_token": {...}}`."""
    if not text:
        return {}
    try:
        claims = parse_object(text)
    except ValueError as error:
        raise InvalidRequest(f"claims cannot be read as a JSON object: {error}.") from None
    if not all(isinstance(claims.get(k, {}), dict) for k in ("userinfo", "id_token")):
        raise InvalidRequest("claims must be an object with userinfo and id_token objects.")
    return {key: claims[key] for key in ("userinfo", "id_token") if key in claims}


def asked_acr(claims: Mapping[str, Any], acr_values: Iterable[str]) -> AskedAcr:
    """The classes that a request wants: what `claims` says of `acr`, an essential wish before any other; else `acr_values`.

    Section 5.5.1.1: an essential one that nobody can reach is a failed attempt, whoever signs in. To go on would be to say
    that it was met. Names that are not known here are no wish otherwise.
    """
    wishes = [place["acr"] for place in claims.values() if isinstance(place.get("acr"), dict)]
    wishes.sort(key=lambda wish: wish.get("essential") is not True)
    for wish in wishes:
        names, essential = _names_in(wish), wish.get("essential") is True
        found = assurance.known(names)
        if essential and names and not found:
            supported = ", ".join(assurance.CLASSES)
            raise UnmetAuthenticationRequirements(f"None of the acr values is known here. Known are: {supported}.")
        if found:
            return AskedAcr(found, essential)
    return AskedAcr(assurance.known(acr_values))


def _names_in(wish: Mapping[str, Any]) -> list[str]:
    """`value` or `values` of section 5.5.1; neither asks for any class."""
    names = wish.get("values", [wish["value"]] if "value" in wish else [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidRequest("The values of acr in claims must be a list of texts.")
    return names
