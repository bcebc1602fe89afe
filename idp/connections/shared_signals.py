"""The option `shared_signals`: whose security events a connection believes (OpenID Shared Signals Framework 1.0), and what they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.models import Connection
from idp.protocol import uris
from idp.protocol.signal_events import BY_NAME, EFFECTS, Effect, short

OPTION = "shared_signals"
TOKEN, SECRET = "shared_signals_token", "shared_signals_secret"
MEMBERS = ("issuer", "jwks_uri", "audience", "method", "events", "client_id", "token_endpoint")
METHODS = PUSH, POLL = ("push", "poll")
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class SignalOptions:
    """`jwks_uri` "" is discovered; `audiences` () are those of the stream, and our endpoint. `events`: by URI of the type.

    With a `client_id` access tokens are asked for (client_credentials), at `token_endpoint` or, if it is "", where the issuer's
    discovery document says; without, an administrator pasted one.
    """

    issuer: str
    jwks_uri: str = ""
    audiences: tuple[str, ...] = ()
    method: str = PUSH
    events: Mapping[str, Effect] = field(default_factory=dict)
    client_id: str = ""
    token_endpoint: str = ""

    def effect_of(self, uri: str) -> Effect:
        return self.events.get(uri, EFFECTS.get(uri, Effect.NOTE))


def of(connection: Connection) -> SignalOptions | None:
    """None: the connection believes no events."""
    value = connection.options.get(OPTION)
    if not isinstance(value, Mapping) or not isinstance(value.get("issuer"), str) or any(problems(connection.options)):
        return None
    audience = value.get("audience") or []
    return SignalOptions(
        value["issuer"],
        value.get("jwks_uri") or "",
        tuple(audience) if isinstance(audience, list) else (audience,),
        value.get("method") or PUSH,
        {_uri(name): Effect(effect) for name, effect in (value.get("events") or {}).items()},
        value.get("client_id") or "",
        value.get("token_endpoint") or "",
    )


def can_ask(connection: Connection) -> bool:
    """Whether there is what a transmitter wants to see from us before it makes a stream."""
    found = of(connection)
    return found is not None and (SECRET if found.client_id else TOKEN) in connection.sealed_options


def destination(value: Any) -> object:
    """What of the option decides where its secrets are sent."""
    return (value.get("issuer"), value.get("token_endpoint") or "") if isinstance(value, Mapping) else value


def problems(options: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the option, each sentence beginning with its path and a colon."""
    value = options.get(OPTION)
    if value is None or value == {}:
        return
    if not isinstance(value, Mapping):
        yield f"{OPTION}: must be an object"
        return
    for name in sorted(map(str, value.keys() - set(MEMBERS))):
        yield f"{OPTION}: has no {name}; it may have {', '.join(MEMBERS)}"
    if not value.get("issuer"):
        yield f"{OPTION}.issuer: is missing: exactly the iss of the security events"
    for name in ("issuer", "jwks_uri", "token_endpoint"):
        if value.get(name) and (why := _url_problem(value[name])):
            yield f"{OPTION}.{name}: {why}"
    if value.get("client_id") and not _is_name(value["client_id"]):
        yield f"{OPTION}.client_id: must be text"
    if value.get("token_endpoint") and not value.get("client_id"):
        yield f"{OPTION}.client_id: is missing: who asks the token_endpoint for tokens"
    if (value.get("method") or PUSH) not in METHODS:
        yield f"{OPTION}.method: must be {' or '.join(METHODS)}"
    audience = value.get("audience") or []
    if not all(map(_is_name, audience if isinstance(audience, list) else [audience])):
        yield f"{OPTION}.audience: must be text, or a list of texts"
    yield from _problems_of_events(value.get("events") or {})


def _problems_of_events(events: Any) -> Iterator[str]:
    if not isinstance(events, Mapping):
        yield f"{OPTION}.events: must be an object"
        return
    for name, effect in events.items():
        if _uri(str(name)) not in EFFECTS:
            yield f"{OPTION}.events: {name} is no event that can be acted on; known are {', '.join(sorted(BY_NAME))}"
        elif not isinstance(effect, str) or effect not in list(Effect):
            yield f"{OPTION}.events: what {short(_uri(str(name)))} does must be one of {', '.join(Effect)}"


def _uri(name: str) -> str:
    return BY_NAME.get(name, name)


def _url_problem(url: object) -> str | None:
    return uris.check_web_url(url) if isinstance(url, str) and len(url) <= LONGEST else "it must be a URL"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()
