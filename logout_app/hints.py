"""id_token_hint: an ID token that came back. Its signature must be ours; its age does not matter."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

from django.conf import settings
from joserfc.jws import JWSRegistry

from idp import keys
from idp.configuration import Snapshot
from idp.protocol.errors import InvalidRequest
from logout_app.protocol.rp_initiated_logout import Hint

LONGEST = 20_000
# They change what is signed (RFC 7515 section 4.1.11, RFC 7797); no token of ours has them.
EXTENSIONS = {"crit", "b64"}
VERIFIERS = JWSRegistry(algorithms=list(keys.ALGORITHMS))
KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def verify(token: str, snapshot: Snapshot) -> Hint | None:
    """The hint; None if its key is no longer published, so that nothing can be said about it.

    InvalidRequest for whatever is not an ID token of ours: `alg` none or HS256, another signer or issuer, a logout,
    access or revocation token. "it MUST validate that it was the issuer of the ID Token" (RP-Initiated Logout, 2).
    """
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise _refused("it is not a signed token")
    message, _, signature = token.rpartition(".")
    first, _, second = message.partition(".")
    header = _object(_decoded(first))
    if (
        header.get("alg") not in keys.ALGORITHMS
        or header.get("typ", "JWT") != "JWT"
        or not EXTENSIONS.isdisjoint(header)
    ):
        raise _refused("its header is not that of an ID token")
    kid = header.get("kid")
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        raise _refused("it names no key")
    loaded = keys.published_key(kid, snapshot)
    if loaded is None:
        return None
    # The last step of `jws.deserialize_compact`; the others look for keys, algorithms and extensions that no token of ours has.
    verifier = VERIFIERS.get_alg(loaded.algorithm)
    if header["alg"] != loaded.algorithm or not verifier.verify(message.encode(), _decoded(signature), loaded.key):
        raise _refused("its signature is not by the key that it names")
    return _hint(_decoded(second))


def _hint(payload: bytes) -> Hint:
    claims = _object(payload)
    audience = claims.get("aud")
    clients = (audience,) if isinstance(audience, str) else tuple(audience) if isinstance(audience, list) else ()
    if claims.get("iss") != settings.ISSUER or "events" in claims:
        raise _refused("it is not an ID token of this issuer")
    if not clients or not all(isinstance(client, str) for client in clients):
        raise _refused("it has no audience")
    sub, sid = claims.get("sub"), claims.get("sid", "")
    if not isinstance(sub, str) or not isinstance(sid, str):
        raise _refused("it has no subject")
    return Hint(clients, sub, sid)


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise _refused("it cannot be decoded") from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON") from None
    if not isinstance(value, dict):
        raise _refused("it is not a JSON object")
    return value


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest("The id_token_hint is not a valid ID token of this service.", detail=detail)
