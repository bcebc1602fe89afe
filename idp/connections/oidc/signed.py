"""A JWT of an upstream, believed only after its signature: ID tokens, and whatever else the same keys sign."""

from __future__ import annotations

from collections.abc import Callable

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from idp.connections.contract import UpstreamFault
from idp.protocol.jwt_profile import Mismatch, Profile, Unverified, read_jwt
from idp.protocol.params import printable

LONGEST = 64_000  # characters; hundreds of groups fit
LONGEST_HEADER = 8192  # ADFS may put its certificate there
SKEW = 60  # seconds that two clocks may differ
SETTING = "id_token_signed_response_algs"  # what says which algorithms a connection takes
FindKeys = Callable[[str | None, str, bool], list[Key]]  # kid, algorithm, whether to look again


def verified(what: str, token: object, *, profile: Profile, find: FindKeys) -> Unverified:
    """A token that one of the upstream's keys signed. `what` begins the sentences: "The ID token of …".

    The keys are ours to choose: what the header offers (`jwk`, `jku`, `x5c`) is not looked at. Raises UpstreamFault.
    """
    try:
        token_read = read_jwt(profile, token)
    except Mismatch as mismatch:
        raise UpstreamFault(f"{what} {mismatch}.") from mismatch
    _check_signature(what, str(token), token_read, find)
    return token_read


def _check_signature(what: str, token: str, said: Unverified, find: FindKeys) -> None:
    """By the keys that are known, then once more by those that are fetched anew."""
    known = False
    for again in (False, True):
        keys = find(said.kid, said.algorithm, again)
        known = known or bool(keys)
        if any(_signed_by(key, token, said.algorithm) for key in keys):
            return
    named = f"key {printable(said.kid)}" if said.kid else "a key without an id"
    if not known:
        raise UpstreamFault(f"{what} is signed by {named}, which is not in the key set of the upstream.")
    raise UpstreamFault(f"{what} is not signed by {named} of the upstream: the signature is wrong.")


def _signed_by(key: Key, token: str, algorithm: str) -> bool:
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = LONGEST_HEADER
    try:
        jws.deserialize_compact(token.encode(), key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True
