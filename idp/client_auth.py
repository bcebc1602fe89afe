"""Client authentication at every OAuth endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2). It fails closed.

`read()` looks only at the request, so that an endpoint may find its own row first and learn the configuration's version
from it; `check()` decides. Both raise InvalidClient or InvalidRequest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.utils.crypto import constant_time_compare
from joserfc import jws, jwt
from joserfc.errors import JoseError

from idp import client_keys
from idp.hashers import ClientSecretHasher
from idp.models import Application, TokenEndpointAuthMethod
from idp.protocol.errors import InvalidClient, InvalidRequest
from idp.protocol.params import Params
from idp.spent import spend

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["RS256", "PS256", "ES256"]
LONGEST_ASSERTION = timedelta(minutes=10)
SKEW = timedelta(seconds=30)
_SECRET_METHODS = (TokenEndpointAuthMethod.POST, TokenEndpointAuthMethod.BASIC)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says about itself, not yet believed."""

    client_id: str
    secret: str = ""
    assertion: str = ""


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


def check(credentials: Credentials, application: Application | None, *, at: datetime) -> Application:
    """The application, if it is enabled and proved who it is by the method that it is registered for.

    Secret in header or body are one method here: SDKs pick either. A private_key_jwt assertion is spent by this call.
    """
    if application is None or not application.enabled:
        raise InvalidClient("Unknown or disabled client.")
    method = application.token_endpoint_auth_method
    if method == TokenEndpointAuthMethod.NONE:
        proved = not credentials.secret and not credentials.assertion
    elif method in _SECRET_METHODS:
        proved = not credentials.assertion and secret_matches(credentials.secret, application.client_secret)
    elif method == TokenEndpointAuthMethod.PRIVATE_KEY_JWT:
        proved = bool(credentials.assertion)
        if proved:
            _verify_assertion(credentials.assertion, application, at)
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
    """RFC 6749 section 2.3.1: both halves are form-urlencoded before they are joined."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = decoded.partition(":")
        if not colon:
            raise ValueError("no colon")
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidClient("The Authorization header cannot be read.") from None
    if not client_id or "\0" in client_id:
        raise InvalidClient("The client is not identified.")
    return Credentials(client_id, secret=secret)


def _assertion(assertion: str, params: Params) -> Credentials:
    """RFC 7521 section 4.2: client_id may be left out, the unverified subject names it; `check()` verifies."""
    if params.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest("client_assertion_type is not supported.")
    try:
        claims = json.loads(jws.extract_compact(assertion.encode("ascii")).payload)
    except (JoseError, ValueError, RecursionError):
        raise InvalidClient("The client assertion cannot be read.") from None
    subject = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(subject, str) or not subject.isprintable() or params.get("client_id", subject) != subject:
        raise InvalidClient("The client assertion is about another client.")
    return Credentials(subject, assertion=assertion)


def _verify_assertion(assertion: str, application: Application, at: datetime) -> None:
    """RFC 7523 section 3, and OpenID Connect Core section 9: jti is required and good for once."""
    try:
        token = jwt.decode(assertion, client_keys.of(application), algorithms=ASSERTION_ALGORITHMS)
    except (JoseError, ValueError) as error:
        raise InvalidClient("Client authentication failed.", detail=f"client assertion: {error}") from None
    wrong = _fault(token.claims, application.client_id, at)
    if wrong:
        raise InvalidClient("Client authentication failed.", detail=f"client assertion: {wrong}")
    _spend(application.client_id, token.claims, at)


def _fault(claims: Mapping[str, Any], client_id: str, at: datetime) -> str:
    """What is wrong with the assertion, or ""."""
    audience = claims.get("aud")
    named = [value for value in (audience if isinstance(audience, list) else [audience]) if isinstance(value, str)]
    ours = {settings.ISSUER, settings.ISSUER_ORIGIN, f"{settings.ISSUER}oauth/token"}
    now, skew = at.timestamp(), SKEW.total_seconds()
    expiry: Any = claims.get("exp")
    not_before, issued = claims.get("nbf", now), claims.get("iat", now)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        return "iss or sub is not the client"
    if ours.isdisjoint(named):
        return "aud is not this server"
    if not all(isinstance(moment, int | float) for moment in (expiry, not_before, issued)):
        return "exp is missing or a time is not a number"
    if not now - skew < expiry <= now + LONGEST_ASSERTION.total_seconds() + skew:
        return "expired, or valid for too long"
    if not_before > now + skew or issued > now + skew:
        return "not valid yet"
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255 or not jti.isprintable():
        return "jti is missing"
    return ""


def _spend(client_id: str, claims: Mapping[str, Any], at: datetime) -> None:
    expires_at = datetime.fromtimestamp(claims["exp"], UTC) + SKEW
    if not spend("client_assertion", client_id, claims["jti"], expires_at=expires_at):
        raise InvalidClient("Client authentication failed.", detail="client assertion: used before")
