"""Client authentication at every OAuth endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2). It fails closed.

`read()` looks only at the request, so that an endpoint may find its own row first and learn the configuration's version
from it; `check()` decides. Both raise InvalidClient or InvalidRequest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from django.conf import settings
from django.utils.crypto import constant_time_compare
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from idp.applications import client_keys
from idp.crypto.spent import spend
from idp.models import Application, TokenEndpointAuthMethod
from idp.people.hashers import ClientSecretHasher
from idp.protocol.clients import STRONG_ALGORITHMS
from idp.protocol.errors import InvalidClient, InvalidRequest
from idp.protocol.jwt_profile import Mismatch, Parties, Profile, Unverified, check_claims, expiry, is_text, read_jwt
from idp.protocol.params import Params
from idp.tenants import profile
from idp.tenants.configuration import Snapshot

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 7523 section 3 and OpenID Connect Core section 9; the type is that of draft-ietf-oauth-rfc7523bis.
CLIENT_ASSERTION = Profile(
    types=frozenset({"jwt", "client-authentication+jwt"}),
    algorithms=("RS256", "PS256", "ES256", "EdDSA"),
    texts=("jti",),
    times=("exp",),
    leeway=30,
    lifetime=3600,  # authlib's assertions live for an hour and nothing else can be said to it; each `jti` is remembered as long
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says about itself, not yet believed."""

    client_id: str
    secret: str = ""
    assertion: str = ""
    plain_secret: str = ""  # of the Authorization header as it came, for clients that do not encode theirs


def read(headers: Mapping[str, str], params: Params) -> Credentials:
    """The one way in which this request authenticates; two at once are refused (section 2.3)."""
    basic = _basic(headers.get("Authorization", ""))
    assertion = params.get("client_assertion", "")
    secret = params.get("client_secret", "")
    if sum((basic is not None, bool(secret), bool(assertion))) > 1:
        raise InvalidRequest("More than one way of client authentication was used.")
    if basic is not None:
        if params.get("client_id", basic.client_id) != basic.client_id:
            raise InvalidRequest("client_id differs from the one in the Authorization header.")
        return basic
    if assertion:
        return _assertion(assertion, params)
    client_id = params.get("client_id", "")
    if not client_id:
        raise InvalidClient("The client is not identified.")
    return Credentials(client_id, secret=secret)


def check(credentials: Credentials, snapshot: Snapshot, *, at: datetime) -> Application:
    """The application, if it is enabled and proved who it is by the method that it is registered for.

    Secret in header or body are one method here: SDKs pick either. A private_key_jwt assertion is spent by this call.
    """
    application = snapshot.application(credentials.client_id)
    if application is None or not application.enabled:
        raise InvalidClient("Unknown or disabled client.")
    method = application.token_endpoint_auth_method
    if method == TokenEndpointAuthMethod.NONE:
        proved = not credentials.secret and not credentials.assertion
    elif application.has_secret:
        proved = not credentials.assertion and any(
            secret_matches(secret, application.client_secret)
            for secret in (credentials.secret, credentials.plain_secret)
        )
    elif method == TokenEndpointAuthMethod.PRIVATE_KEY_JWT:
        proved = bool(credentials.assertion)
        if proved:
            _verify_assertion(credentials.assertion, application, snapshot, at)
    else:
        proved = False
    if not proved:
        raise InvalidClient("Client authentication failed.", detail=f"{application.client_id}: {method}")
    return application


def secret_matches(secret: str, stored: str) -> bool:
    """No empty secret, no stored value without our prefix, no comparison in clear."""
    prefix = f"{ClientSecretHasher.algorithm}$"
    if not secret or not stored.startswith(prefix) or constant_time_compare(stored, _HASH_OF_NOTHING):
        return False
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return constant_time_compare(stored, prefix + digest)


_HASH_OF_NOTHING = f"{ClientSecretHasher.algorithm}${hashlib.sha256(b'').hexdigest()}"


def _basic(header: str) -> Credentials | None:
    """RFC 6749 section 2.3.1: both halves are form-urlencoded before they are joined.

    Many clients leave that out (curl -u, whatever knows HTTP Basic only), which shows in secrets with `+` or `%`.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, plain = decoded.partition(":")
        if not colon:
            raise ValueError("no colon")
        client_id = unquote_plus(client_id, errors="strict")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidClient("The Authorization header cannot be read.") from None
    if not client_id or "\0" in client_id:
        raise InvalidClient("The client is not identified.")
    return Credentials(client_id, secret=_form_decoded(plain), plain_secret=plain)


def _form_decoded(half: str) -> str:
    """What was encoded; what cannot have been stays as it is."""
    try:
        return unquote_plus(half, errors="strict")
    except UnicodeDecodeError:
        return half


def _assertion(assertion: str, params: Params) -> Credentials:
    """RFC 7521 section 4.2: client_id may be left out, the unverified subject names it; `check()` verifies."""
    if params.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest("client_assertion_type is not supported.")
    try:
        claims = read_jwt(CLIENT_ASSERTION, assertion).claims
    except Mismatch as mismatch:
        raise InvalidClient("The client assertion cannot be read.", detail=f"it {mismatch}") from None
    subject = claims.get("sub")
    if not is_text(subject) or params.get("client_id", subject) != subject:
        raise InvalidClient("The client assertion is about another client.")
    return Credentials(subject, assertion=assertion)


def _verify_assertion(assertion: str, application: Application, snapshot: Snapshot, at: datetime) -> None:
    """A good signature, every claim, and a jti that is good for once. Raises InvalidClient."""
    is_strict = profile.is_strict_about_assertions(application, snapshot.tenant)
    us = (settings.ISSUER,) if is_strict else (settings.ISSUER, settings.ISSUER_ORIGIN, *_endpoints())
    try:
        said = read_jwt(CLIENT_ASSERTION, assertion)
        check_claims(CLIENT_ASSERTION, said.claims, Parties(application.client_id, us), at)
        if is_strict and said.claims["aud"] != settings.ISSUER:
            raise Mismatch("has an aud that is not our issuer alone, as a string")
        if is_strict and said.algorithm not in STRONG_ALGORITHMS:
            raise Mismatch(f"is signed by {said.algorithm}, which is none of {', '.join(STRONG_ALGORITHMS)}")
    except Mismatch as mismatch:
        raise _refused(str(mismatch)) from None
    if not _is_signed(assertion, said, application):
        raise _refused("it is signed by none of the client's keys")
    claims = said.claims
    if claims.get("sub") != application.client_id:
        raise _refused("its sub is not the client")
    ends = expiry(CLIENT_ASSERTION, claims)
    if not spend("client_assertion", application.client_id, claims["jti"], expires_at=ends):
        raise _refused("it was used before")


def _is_signed(assertion: str, said: Unverified, application: Application) -> bool:
    """By the keys that are known, then once more by those that are fetched anew: a client may have rotated its keys."""
    for newer in (False, True):
        keys = client_keys.of(application, newer=newer).keys
        named = [key for key in keys if said.kid is None or key.kid == said.kid]
        if any(_verifies(assertion, said.algorithm, key) for key in named):
            return True
    return False


def _verifies(assertion: str, algorithm: str, key: Key) -> bool:
    try:
        jws.deserialize_compact(assertion, key, algorithms=[algorithm])
    except (JoseError, ValueError):
        return False
    return True


def _endpoints() -> tuple[str, ...]:
    """Where client assertions are sent: many libraries name the endpoint as the audience (RFC 7523 section 3)."""
    return tuple(f"{settings.ISSUER}oauth/{name}" for name in ("token", "par", "introspect", "revoke"))


def _refused(detail: str) -> InvalidClient:
    return InvalidClient("Client authentication failed.", detail=f"client assertion: {detail}")
