"""What the organisation signs, all with one key: ID tokens, and the requests of Universal Logout."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from examples.okta_org.organisation import TOKEN_SECONDS, Application, Person, Session

ALGORITHM = "RS256"
FIVE_MINUTES = 300


class Signer:
    def __init__(self, issuer: str, *, with_sid: bool) -> None:
        """`with_sid`: ID tokens carry `sid`, as Okta's do once single logout is switched on for the application."""
        self.issuer, self._with_sid = issuer, with_sid
        self._key = RSAKey.generate_key(2048)
        self._kid = self._key.thumbprint()

    @property
    def jwks(self) -> dict[str, Any]:
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": ALGORITHM}]}

    def id_token(self, application: Application, session: Session, *, nonce: str, access_token: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "ver": 1,
            "jti": f"ID.{secrets.token_urlsafe(16)}",
            "iss": self.issuer,
            "aud": application.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "auth_time": session.auth_time,
            "amr": ["pwd"],
            "idp": "00oacme5d7",
            "at_hash": _half_hash(access_token),
            **claims_of(session.person),
        }
        if nonce:
            claims["nonce"] = nonce
        if self._with_sid:
            claims["sid"] = session.sid
        return jwt.encode({"alg": ALGORITHM, "kid": self._kid}, claims, self._key)

    def revocation_token(self, application: Application) -> str:
        """Proves to a Global Token Revocation endpoint that we ask. No `kid`, and `nbf` in the past: Okta does it so."""
        now = int(time.time())
        claims = {
            "jti": secrets.token_urlsafe(16),
            "iss": self.issuer,
            "sub": application.client_id,
            "aud": application.revocation_url,
            "exp": now + FIVE_MINUTES,
            "nbf": now - FIVE_MINUTES,
            "iat": now,
        }
        return jwt.encode({"typ": "global-token-revocation+jwt", "alg": ALGORITHM}, claims, self._key)

    def subject_of(self, id_token: str) -> str:
        """Whom an ID token of ours is about, "" if it is none; an expired one will do as a hint."""
        try:
            claims = jwt.decode(id_token, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            return ""
        return str(claims.get("sub", "")) if claims.get("iss") == self.issuer else ""


def claims_of(person: Person) -> dict[str, Any]:
    """The standard claims of a person, in ID tokens and at /userinfo."""
    given, family = person.name.split(" ")
    return {
        "sub": person.id,
        "name": person.name,
        "given_name": given,
        "family_name": family,
        "preferred_username": person.email,
        "email": person.email,
        "email_verified": True,
    }


def challenge_of(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 section 4.2)."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _half_hash(token: str) -> str:
    """OpenID Connect Core 1.0 section 3.1.3.6."""
    return _base64url(hashlib.sha256(token.encode()).digest()[:16])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
