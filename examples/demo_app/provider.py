"""The identity provider as this application sees it: discovery, keys, tokens. Authlib speaks OAuth, joserfc reads the JWTs."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from examples.demo_app.sessions import Pending, Session

ALGORITHMS = ["RS256", "ES256"]
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
SKEW = 60  # seconds
SCOPE = "openid profile email"


class Refused(Exception):
    """What the provider, or somebody in its name, sent cannot be accepted."""


class Provider:
    def __init__(self, issuer: str, client_id: str, client_secret: str, home: str) -> None:
        self.issuer, self.client_id, self.client_secret = issuer, client_id, client_secret
        self.home = home
        self.callback = f"{home}callback"
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        with self._lock:
            if not self._metadata:
                found = _get_json(f"{self.issuer}.well-known/openid-configuration")
                if found.get("issuer") != self.issuer:
                    raise Refused("The discovery document is of another issuer.")
                self._metadata = found
            return self._metadata

    def authorization_url(self, pending: Pending) -> str:
        url, _ = self._oauth().create_authorization_url(
            self.metadata["authorization_endpoint"],
            state=pending.state,
            nonce=pending.nonce,
            code_verifier=pending.verifier,
        )
        return str(url)

    def sign_in(self, pending: Pending, code: str) -> Session:
        """Exchange the code and check the ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""
        token = self._oauth().fetch_token(
            self.metadata["token_endpoint"], code=code, code_verifier=pending.verifier, grant_type="authorization_code"
        )
        claims = self._id_token(token["id_token"])
        if claims.get("nonce") != pending.nonce:
            raise Refused("The ID token is not the answer to this sign-in.")
        return Session(claims, token["id_token"], token.get("refresh_token"))

    def refresh(self, session: Session) -> None:
        """New tokens for the session; Authlib raises OAuthError when the provider says no."""
        token = self._oauth().refresh_token(self.metadata["token_endpoint"], refresh_token=session.refresh_token)
        session.refresh_token = token.get("refresh_token", session.refresh_token)
        if id_token := token.get("id_token"):
            claims = self._id_token(id_token)
            if claims["sub"] != session.sub:
                raise Refused("The new ID token is about somebody else.")
            session.claims, session.id_token = claims, id_token
        session.refreshed_at = time.time()

    def logout_url(self, session: Session, *, auth0_style: bool) -> str:
        """Where to send the browser to sign out everywhere: Auth0's way, or RP-Initiated Logout 1.0."""
        if auth0_style:
            query = {"client_id": self.client_id, "returnTo": f"{self.home}signed-out"}
            return f"{self.issuer}v2/logout?{urlencode(query)}"
        query = {"id_token_hint": session.id_token, "post_logout_redirect_uri": f"{self.home}signed-out"}
        return f"{self.metadata['end_session_endpoint']}?{urlencode(query)}"

    def logout_token(self, encoded: str) -> dict[str, Any]:
        """The claims of a logout token, validated as Back-Channel Logout 1.0 section 2.6 says."""
        token = self._decode(encoded)
        if str(token.header.get("typ", "JWT")).lower() not in ("logout+jwt", "jwt"):
            raise Refused("This is not a logout token.")
        claims = token.claims
        jwt.JWTClaimsRegistry(
            leeway=SKEW,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        ).validate(claims)
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise Refused("The token does not announce a logout.")
        if "nonce" in claims:
            raise Refused("A logout token has no nonce.")
        if not claims.get("sid") and not claims.get("sub"):
            raise Refused("The token says neither whose session ended nor which.")
        return dict(claims)

    def _id_token(self, encoded: str) -> dict[str, Any]:
        claims = self._decode(encoded).claims
        jwt.JWTClaimsRegistry(
            leeway=SKEW,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        return dict(claims)

    def _decode(self, encoded: str) -> jwt.Token:
        """Verify the signature; a key that we do not know yet is asked for once."""
        for fresh in (False, True):
            try:
                return jwt.decode(encoded, self._key_set(fresh), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                continue
        raise Refused("The token is signed with a key that the provider does not publish.")

    def _key_set(self, fresh: bool) -> KeySet:
        if fresh or self._keys is None:
            self._keys = KeySet.import_key_set(_get_json(self.metadata["jwks_uri"]))
        return self._keys

    def _oauth(self) -> OAuth2Session:
        return OAuth2Session(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method="client_secret_post",
            scope=SCOPE,
            redirect_uri=self.callback,
            code_challenge_method="S256",
            default_timeout=10,
        )


FAILURES = (Refused, JoseError, ValueError)


def _get_json(url: str) -> Any:
    response = requests.get(url, timeout=10)
    response.raise_for_status()
    return response.json()
