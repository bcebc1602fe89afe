"""OpenID Connect RP-Initiated Logout 1.0 with Auth0's additions: what to do with one request, as a pure decision.

The browser's cookie says whose session ends. A hint only names the application and may spare the question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from idp.protocol.errors import InvalidRequest, NotRegistered
from idp.protocol.params import LONGEST_STATE
from logout_app.protocol import redirects

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL and lone surrogates: PostgreSQL takes neither
PARAMETERS = (
    "id_token_hint",
    "logout_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "ui_locales",
    "federated",
)


LONGEST = {"id_token_hint": 20_000, "state": LONGEST_STATE}  # characters; of all others as many as of an address


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """Section 2's parameters; "" means absent, but a `state` may be empty and is then still echoed."""

    id_token_hint: str = ""
    logout_hint: str = ""
    client_id: str = ""
    post_logout_redirect_uri: str = ""
    state: str | None = None
    federated: bool = False
    ui_locales: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """An ID token that we signed, however old: who it was for, and which session it names."""

    audience: tuple[str, ...]
    sub: str
    sid: str


@dataclass(frozen=True, slots=True)
class Current:
    """The browser's live session."""

    sid: str
    sub: str


@dataclass(frozen=True, slots=True)
class LogoutClient:
    """What the decision needs of an application."""

    client_id: str
    post_logout_redirect_uris: Sequence[str]
    enabled: bool = True
    any_port: bool = False  # on loopback


class LogoutStep(StrEnum):
    END = "end"  # the session ends now
    ASK = "ask"  # the person is asked first
    NOTHING = "nothing"  # there is no session: "not an error" (section 2)


@dataclass(frozen=True, slots=True)
class LogoutDecision:
    """`redirect` is validated and carries `state`; "" means our own page. `client_id` is the application that asked."""

    step: LogoutStep
    redirect: str = ""
    client_id: str = ""


def parse(params: Mapping[str, Sequence[str]], *, posted: bool) -> LogoutRequest:
    """Read the parameters; a repeated one is refused (RFC 6749, section 3.1). Others are ignored."""
    for name in PARAMETERS:
        if len(params.get(name, ())) > 1:
            raise InvalidRequest(f"The parameter {name} is given more than once.")
    value = {name: params[name][0] for name in PARAMETERS if params.get(name)}
    for name, text in value.items():
        if len(text) > (longest := LONGEST.get(name, redirects.LONGEST)):
            raise InvalidRequest(f"The parameter {name} is longer than {longest} characters.")
    if any(_unstorable(text) for text in value.values()):
        raise InvalidRequest("A parameter contains characters that are not allowed.")
    return LogoutRequest(
        id_token_hint=value.get("id_token_hint", ""),
        logout_hint=value.get("logout_hint", ""),
        client_id=value.get("client_id", ""),
        post_logout_redirect_uri=value.get("post_logout_redirect_uri", ""),
        state=value.get("state"),
        federated=is_federated(value.get("federated"), posted=posted),
        ui_locales=value.get("ui_locales", ""),
    )


def is_federated(value: str | None, *, posted: bool = False) -> bool:
    """Auth0: in a query its presence is enough; in a form it must say true or false (bare is accepted as true)."""
    if value is None:
        return False
    if posted and value not in ("true", "false", ""):
        raise InvalidRequest("The parameter federated must be true or false.")
    return value != "false" if posted else True


def decide(
    request: LogoutRequest,
    *,
    hint: Hint | None,
    current: Current | None,
    find_client: Callable[[str], LogoutClient | None],
    tenant_urls: Sequence[str] = (),
    may_skip_question: bool = False,
) -> LogoutDecision:
    """What to do, or InvalidRequest (then nothing ends and nobody is redirected).

    `hint` is the verified one; None when none was sent or its key is no longer known. `may_skip_question`: the tenant
    switched the question off, and this request is a page that the person opened.
    """
    _check_consistency(request, hint)
    client = _client(request, hint, find_client)
    redirect = _redirect(request, client, tenant_urls)
    client_id = client.client_id if client else ""
    if current is None:
        return LogoutDecision(LogoutStep.NOTHING, redirect, client_id)
    if may_skip_question or _names_current_session(request, hint, current):
        return LogoutDecision(LogoutStep.END, redirect, client_id)
    return LogoutDecision(LogoutStep.ASK, redirect, client_id)


def _check_consistency(request: LogoutRequest, hint: Hint | None) -> None:
    if hint is None:
        return
    # "the OP MUST verify that the Client Identifier matches the one used when issuing the ID Token" (section 2).
    if request.client_id and request.client_id not in hint.audience:
        raise InvalidRequest("The id_token_hint was issued to another application than client_id.")
    if request.logout_hint and request.logout_hint != hint.sid:
        raise InvalidRequest("The logout_hint is not the session of the id_token_hint.")


def _client(
    request: LogoutRequest, hint: Hint | None, find: Callable[[str], LogoutClient | None]
) -> LogoutClient | None:
    if request.client_id:
        client = find(request.client_id)
        if client is None:
            raise InvalidRequest("The application (client_id) is not known here.")
        if not client.enabled:
            raise InvalidRequest("The application (client_id) is disabled: nobody is led back to it.")
        return client
    client = find(hint.audience[0]) if hint and len(hint.audience) == 1 else None
    return client if client and client.enabled else None


def _redirect(request: LogoutRequest, client: LogoutClient | None, tenant_urls: Sequence[str]) -> str:
    """The validated target with `state`.

    Without an application only the tenant's own list can vouch for a target; else the request goes on without one
    ("MUST NOT perform post-logout redirection", section 3).
    """
    uri = request.post_logout_redirect_uri
    if not uri:
        return ""
    if client is None:
        return redirects.with_state(uri, request.state) if redirects.matches_exactly(uri, tenant_urls) else ""
    if not redirects.matches_exactly(uri, client.post_logout_redirect_uris, any_port=client.any_port):
        raise NotRegistered(
            "The post_logout_redirect_uri is not registered for this application.",
            client_id=client.client_id,
            parameter="post_logout_redirect_uri",
            uri=uri,
        )
    return redirects.with_state(uri, request.state)


def _names_current_session(request: LogoutRequest, hint: Hint | None, current: Current) -> bool:
    """ "MUST ask ... if an id_token_hint was not provided or does not identify the current session" (section 2).

    Auth0's `logout_hint` is the `sid`, which only the applications of the session and the person know.
    """
    if hint is not None:
        return bool(hint.sid) and hint.sid == current.sid and hint.sub == current.sub
    return bool(request.logout_hint) and request.logout_hint == current.sid


def _unstorable(text: str) -> bool:
    return UNSTORABLE.search(text) is not None
