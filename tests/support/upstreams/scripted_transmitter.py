"""A transmitter of security events that does what a test wants: streams, verification, polls, and events that it signs."""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc.jwk import Key

from tests.support.upstreams.scripted_oidc import ABSENT, rsa_key, sign

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
TOKEN = "a-fixture-access-token"
WELL_KNOWN = "/.well-known/ssf-configuration"


class ScriptedTransmitter:
    """Context manager on a loopback port. `seen` keeps (method, path, body, Authorization) of each request.

    `waiting` are tokens by the id that a poll acknowledges; `answers` are (status, document) by "METHOD path", before what is
    usual; `metadata` may be changed at any time.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = [rsa_key("transmitter")]
        self.seen: list[tuple[str, str, Any, str]] = []
        self.streams: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, str] = {}
        self.answers: dict[str, tuple[int, Any]] = {}
        self.statuses: dict[str, str] = {}  # of streams; enabled unless it is said here
        self.verifications: list[dict[str, Any]] = []
        self.errors: dict[str, Any] = {}
        self.audience = "https://curfew.example/receiver"

    def __enter__(self) -> ScriptedTransmitter:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.issuer = f"http://localhost:{self._server.server_address[1]}"
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "spec_version": "1_0",
            "jwks_uri": f"{self.issuer}/jwks",
            "configuration_endpoint": f"{self.issuer}/streams",
            "status_endpoint": f"{self.issuer}/status",
            "verification_endpoint": f"{self.issuer}/verify",
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
        }
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(
        self,
        uri: str,
        event: dict[str, Any] | None = None,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A good one about this event, with these changes of its claims; members that are ABSENT are left out."""
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "jti": secrets.token_urlsafe(12),
            "iat": int(time.time()),
            "events": {uri: event or {}},
        } | changes
        kept = {name: value for name, value in claims.items() if value is not ABSENT}
        return sign(json.dumps(kept).encode(), key or self.keys[0], **{"typ": "secevent+jwt", **(header or {})})

    def subject(self, sub: str) -> dict[str, str]:
        return {"format": "iss_sub", "iss": self.issuer, "sub": sub}

    def bodies(self, method: str, path: str) -> list[Any]:
        return [body for verb, where, body, _ in self.seen if (verb, urlsplit(where).path) == (method, path)]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        where = urlsplit(path)
        if scripted := self.answers.get(f"{method} {where.path}"):
            return scripted
        if where.path == WELL_KNOWN:
            return 200, self.metadata
        if where.path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if where.path == "/streams":
            return self._streams(method, body, parse_qs(where.query).get("stream_id", [""])[0])
        if where.path == "/status":
            return self._status(method, body or {}, parse_qs(where.query).get("stream_id", [""])[0])
        if where.path == "/verify":
            self.verifications.append(body)
            return 204, None
        return (200, self._poll(body)) if where.path == "/poll" else (404, {})

    def _streams(self, method: str, body: Any, stream_id: str) -> tuple[int, Any]:
        if method == "POST":
            if self.streams:
                return 409, {}
            return 201, self._stream("stream-1", body)
        if method in ("PATCH", "PUT"):
            return (200, self._stream(body["stream_id"], body)) if body["stream_id"] in self.streams else (404, {})
        if method == "DELETE":
            return (204, None) if self.streams.pop(stream_id, None) else (404, {})
        if stream_id:
            return (200, self.streams[stream_id]) if stream_id in self.streams else (404, {})
        return 200, list(self.streams.values())

    def _status(self, method: str, body: dict[str, Any], stream_id: str) -> tuple[int, Any]:
        stream_id = stream_id or body.get("stream_id", "")
        if stream_id not in self.streams:
            return 404, {}
        if method == "POST":
            self.statuses[stream_id] = body["status"]
        return 200, {"stream_id": stream_id, "status": self.statuses.get(stream_id, "enabled")}

    def _stream(self, stream_id: str, body: Any) -> dict[str, Any]:
        delivery = dict(body["delivery"])
        if delivery["method"].endswith("8936"):
            delivery["endpoint_url"] = f"{self.issuer}/poll"
        self.streams[stream_id] = {
            "stream_id": stream_id,
            "iss": self.issuer,
            "aud": self.audience,
            "events_delivered": body["events_requested"],
            "delivery": delivery,
        }
        return self.streams[stream_id]

    def _poll(self, body: Any) -> dict[str, Any]:
        self.errors |= body.get("setErrs", {})
        for key in [*body.get("ack", ()), *body.get("setErrs", ())]:
            self.waiting.pop(key, None)
        sets = dict(list(self.waiting.items())[: body["maxEvents"]])
        return {"sets": sets, "moreAvailable": len(sets) < len(self.waiting)}


def _handler(transmitter: ScriptedTransmitter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_form = self.headers.get("Content-Type") == "application/x-www-form-urlencoded"
            body = parse_qs(raw.decode()) if is_form else json.loads(raw) if raw else None
            transmitter.seen.append((self.command, self.path, body, self.headers.get("Authorization", "")))
            status, document = transmitter.answer(self.command, self.path, body)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _respond

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler
