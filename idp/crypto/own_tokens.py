"""Our own JWTs that come back: hints and access tokens, one verifier for all of them. Whether they are still good is for others."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from joserfc.jws import JWSRegistry

from idp.crypto import keys
from idp.crypto.sealing import CannotUnseal, seal, unseal
from idp.protocol.jwt_profile import Mismatch, Profile, check_content, decoded, read_jwt
from idp.tenants.configuration import Snapshot

# A hint is good whatever its age (RP-Initiated Logout 1.0 section 2), and a logout token is none.
# An access token with Auth0's claims has the `typ` of an ID token, and `scope`, which no ID token has.
ID_TOKEN = Profile(
    types=frozenset({"jwt"}),
    algorithms=tuple(keys.ALGORITHMS),
    texts=("sub",),
    forbidden=("events", "scope"),
    longest=20_000,
)
ACCESS_TOKEN = Profile(
    types=frozenset({"at+jwt", "jwt"}),
    needs_type=True,
    algorithms=tuple(keys.ALGORITHMS),
    texts=("sub", "scope"),
    forbidden=("events", "at_hash", "nonce"),
)
PERSON = "curfew_person"  # in access tokens whose sub is a pairwise one: who it is, sealed, for our own endpoints
_VERIFIERS = JWSRegistry(algorithms=list(keys.ALGORITHMS))


class KeyUnknown(Mismatch):
    """It names a key that we do not publish, or not any more: nothing can be said about it."""


def claims_of(profile: Profile, token: str, snapshot: Snapshot) -> dict[str, Any]:
    """The claims of a token that we signed. Times are not looked at. Raises Mismatch or KeyUnknown."""
    if token.count(".") == 4:
        raise Mismatch("is encrypted for its application, which has to send the signed token that is inside")
    said = read_jwt(profile, token)
    loaded = keys.published_key(said.kid, snapshot) if said.kid else None
    if loaded is None:
        raise KeyUnknown("names no key that we publish")
    message, _, signature = token.rpartition(".")
    # The last step of `jws.deserialize_compact`; the others look for keys, algorithms and extensions that no token of ours has.
    verifier = _VERIFIERS.get_alg(loaded.algorithm)
    if said.algorithm != loaded.algorithm or not verifier.verify(message.encode(), decoded(signature), loaded.key):
        raise Mismatch("is not signed by the key that it names")
    if said.claims.get("iss") != settings.ISSUER:
        raise Mismatch("is from another issuer")
    check_content(profile, said.claims)
    return said.claims


def reference_to(person: int, client_id: str) -> str:
    """A person's key for the token of an application; new each time, so that nobody but us can compare two."""
    return seal(str(person), _place(client_id))


def referred_to(reference: object, client_id: str) -> int:
    """Raises Mismatch."""
    try:
        return int(unseal(str(reference), _place(client_id)))
    except (CannotUnseal, ValueError):
        raise Mismatch("refers to nobody") from None


def _place(client_id: str) -> str:
    return f"access token:{client_id}"
