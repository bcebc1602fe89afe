"""An OpenID provider of ours that says what a test wants: malformed, forged, late, or nothing at all."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

CLIENT = "curfew"
SECRET = "a-fixture-secret-for-upstreams-only"
WELL_KNOWN = "/.well-known/openid-configuration"
ABSENT = object()  # as a value: the member is left out


@functools.cache
def rsa_key(name: str) -> RSAKey:
    """The same key for the same name, made once a run."""
    return RSAKey.generate_key(2048, {"kid": name}, private=True)


@functools.cache
def ec_key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name}, private=True)


class ScriptedProvider:
    """Context manager: a provider on a loopback port. What it answers is in its attributes, changed at any time.

    `metadata`, `key_set`, `userinfo` are documents; `token_answer` makes the answer of the token endpoint from its form;
    `delays` (seconds), `statuses` and `bodies` are by path. `hits` counts requests, `forms` and `headers` keep what the token
    endpoint was sent.
    """

    def __init__(self, path: str = "") -> None:
        self._path = path
        self.keys: list[Key] = [rsa_key("one")]
        self.delays: dict[str, float] = {}
        self.statuses: dict[str, int] = {}
        self.bodies: dict[str, bytes] = {}
        self.response_headers: dict[str, dict[str, str]] = {}
        self.hits: Counter[str] = Counter()
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.userinfo: dict[str, Any] = {}
        self.nonce = ""
        self.claims: dict[str, Any] = {}
        self.token_answer: Callable[[dict[str, str]], tuple[int, Any]] = self._usual_answer

    def __enter__(self) -> ScriptedProvider:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.issuer = f"http://localhost:{self.port}{self._path}"
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def discovery_url(self) -> str:
        return self.issuer + WELL_KNOWN

    def id_token(self, *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good ID token with these changes."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "mary", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims |= {"email": "mary@fabrikamcorp.com", "email_verified": True, "name": "Mary", **self.claims, **changes}
        kept = {name: value for name, value in claims.items() if value is not ABSENT}
        return sign(json.dumps(kept).encode(), key or self.keys[0], **(header or {}))

    def _usual_answer(self, form: dict[str, str]) -> tuple[int, Any]:
        return 200, {"access_token": "at-1", "token_type": "Bearer", "expires_in": 300, "id_token": self.id_token()}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        name = path.removeprefix(self._path)
        if name == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if name == "/token":
            self.forms.append(form)
            return self.token_answer(form)
        documents = {WELL_KNOWN: self.metadata, "/userinfo": self.userinfo}
        return (200, documents[name]) if name in documents else (404, {})


def sign(payload: bytes, key: Key, **header: Any) -> str:
    """A compact JWS; header members that are ABSENT are left out."""
    protected = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": key.kid, **header}
    protected = {name: value for name, value in protected.items() if value is not ABSENT}
    registry = jws.JWSRegistry(algorithms=[protected["alg"]], strict_check_header=False)
    return jws.serialize_compact(protected, payload, key, registry=registry)


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", **header}, claims)]
    return ".".join(encode(part) for part in parts) + "."


def at_hash(access_token: str) -> str:
    return encode(hashlib.sha256(access_token.encode()).digest()[:16])


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _handler(provider: ScriptedProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            provider.headers.append(dict(self.headers.items()))
            self._respond(dict(parse_qsl(body.decode())))

        def _respond(self, form: dict[str, str]) -> None:
            path = urlsplit(self.path).path
            provider.hits[path] += 1
            time.sleep(provider.delays.get(path, 0))
            status, document = provider.answer(path, form)
            body = provider.bodies.get(path, json.dumps(document).encode())
            self.send_response_only(provider.statuses.get(path, status))
            usual = {"Date": self.date_time_string(), "Content-Type": "application/json"}
            for name, value in {**usual, **provider.response_headers.get(path, {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler
