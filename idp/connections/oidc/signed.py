"""A JWT of an upstream, believed only after its signature: ID tokens, and whatever else the same keys sign."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from idp.connections.upstream import UpstreamFault
from idp.protocol.params import printable
from idp.protocol.strict_json import parse_object

LONGEST = 64_000  # characters; hundreds of groups fit
LONGEST_HEADER = 8192  # ADFS may put its certificate there
FindKeys = Callable[[str | None, str, bool], list[Key]]  # kid, algorithm, whether to look again


@dataclass(frozen=True, slots=True)
class Signed:
    alg: str
    claims: dict[str, Any]


def verified(
    what: str, token: object, *, algorithms: Collection[str], types: Collection[str], find: FindKeys
) -> Signed:
    """The claims of a token that one of the upstream's keys signed. `what` begins the sentences: "The ID token of …".

    The keys are ours to choose: what the header offers (`jwk`, `jku`, `x5c`) is not looked at. Raises UpstreamFault.
    """
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= LONGEST:
        raise UpstreamFault(f"{what} is missing, or is not a signed JWT of a size that we read.")
    header = _header(what, token)
    alg, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or alg not in algorithms:
        raise UpstreamFault(
            f"{what} is signed with {printable(str(alg))}, which id_token_signed_response_algs does not allow "
            f"({', '.join(algorithms)})."
        )
    if kind is not None and str(kind).lower().removeprefix("application/") not in types:
        raise UpstreamFault(f"{what} is of another type: {printable(str(kind))}.")
    if "crit" in header or not isinstance(kid, str | None):
        raise UpstreamFault(f"{what} has a header that we do not understand.")
    payload = _payload(what, token, kid, alg, find)
    try:
        return Signed(alg, parse_object(payload))
    except ValueError as error:
        raise UpstreamFault(f"{what} holds no claims that can be read: {error}.") from error


def _header(what: str, token: str) -> dict[str, Any]:
    try:
        header: dict[str, Any] = jws.extract_compact(token.encode(), registry=_registry(None)).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise UpstreamFault(f"{what} is not a signed JWT.") from error
    if not isinstance(header, dict):
        raise UpstreamFault(f"{what} is not a signed JWT.")
    return header


def _payload(what: str, token: str, kid: str | None, alg: str, find: FindKeys) -> bytes:
    """By the keys that are known, then once more by those that are fetched anew."""
    known = False
    for again in (False, True):
        keys = find(kid, alg, again)
        known = known or bool(keys)
        for key in keys:
            if (payload := _signed_by(key, token, alg)) is not None:
                return payload
    named = f"key {printable(kid)}" if kid else "a key without an id"
    if not known:
        raise UpstreamFault(f"{what} is signed by {named}, which is not in the key set of the upstream.")
    raise UpstreamFault(f"{what} is not signed by {named} of the upstream: the signature is wrong.")


def _signed_by(key: Key, token: str, alg: str) -> bytes | None:
    try:
        return jws.deserialize_compact(token.encode(), key, registry=_registry([alg])).payload
    except (JoseError, ValueError, TypeError):
        return None


def _registry(algorithms: list[str] | None) -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = LONGEST_HEADER
    return registry
