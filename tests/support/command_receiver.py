"""An application that takes OpenID Provider Commands, written from draft 02 (openid/openid-provider-commands, 25 September 2025).

It verifies a command token by our key set, knows in which state each account is, and answers as the draft says: 200 with the
state, 409 where the command does not fit it, 400 for what it does not take. It knows nothing of Curfew but its issuer.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import KeySet

# Section 4.1: command -> states that it may find the account in, and the state that it leaves it in.
TRANSITIONS: dict[str, tuple[frozenset[str], str]] = {
    "activate": (frozenset({"unknown"}), "active"),
    "maintain": (frozenset({"active"}), "active"),
    "suspend": (frozenset({"active"}), "suspended"),
    "reactivate": (frozenset({"suspended"}), "active"),
    "archive": (frozenset({"active", "suspended"}), "archived"),
    "restore": (frozenset({"archived"}), "active"),
    "delete": (frozenset({"active", "suspended", "archived"}), "unknown"),
    "invalidate": (frozenset({"active"}), "active"),
}
BASELINE = {"iss", "aud", "client_id", "iat", "exp", "jti", "command", "tenant"}


class CommandReceiver:
    """Context manager on a loopback port. `states` by sub (unknown otherwise); `taken` are the claims of what it carried out.

    `supported`: the commands that it takes; `down`: a status that it answers instead of reading anything.
    """

    def __init__(self, issuer: str, client_id: str, key_set: Any) -> None:
        self.issuer, self.client_id, self._key_set = issuer, client_id, key_set
        self.supported = ["metadata", "invalidate", "suspend", "reactivate", "delete"]
        self.states: dict[str, str] = {}
        self.taken: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Any]] = []
        self.seen: set[str] = set()
        self.down = 0

    def __enter__(self) -> CommandReceiver:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/commands?of=curfew"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def commands(self) -> list[str]:
        return [claims["command"] for claims in self.taken]

    def answer(self, content_type: str, body: str) -> tuple[int, Any]:
        if self.down:
            return self.down, {"error": "server_error"}
        form = parse_qs(body)
        if content_type != "application/x-www-form-urlencoded" or len(form.get("command_token", [])) != 1:
            return 400, {"error": "invalid_request", "error_description": "no command_token"}
        try:
            claims = self._verified(form["command_token"][0])
        except Exception as error:  # noqa: BLE001  whatever is wrong with it
            return 400, {"error": "invalid_request", "error_description": str(error)}
        if claims["iss"] != self.issuer:
            return 401, {"error": "unrecognized_provider"}
        return self._carry_out(claims)

    def _verified(self, token: str) -> dict[str, Any]:
        read = jwt.decode(token, KeySet.import_key_set(self._key_set), algorithms=["RS256"])
        claims = dict(read.claims)
        assert read.header["typ"] == "command+jwt", "typ"
        assert claims.keys() >= BASELINE, "claims are missing"
        assert "nonce" not in claims, "nonce"
        assert (claims["aud"], claims["client_id"]) == (self.endpoint, self.client_id), "aud or client_id"
        assert claims["iat"] - 60 <= time.time() < claims["exp"] <= claims["iat"] + 120, "times"
        assert claims["jti"] not in self.seen, "jti was seen"
        extra = {"metadata"} if claims["command"] == "metadata" else {"sub"}
        assert claims.keys() == BASELINE | extra, "claims that this command has not"
        self.seen.add(claims["jti"])
        return claims

    def _carry_out(self, claims: dict[str, Any]) -> tuple[int, Any]:
        command = claims["command"]
        if command not in self.supported:
            return 400, {"error": "unsupported_command"}
        if command == "metadata":
            return 200, {
                "context": {"iss": claims["iss"], "tenant": claims["tenant"]},
                "commands_supported": self.supported,
                "command_endpoint": self.endpoint,
                "client_id": self.client_id,
            }
        fits, becomes = TRANSITIONS[command]
        state = self.states.get(claims["sub"], "unknown")
        if state not in fits:
            return 409, {"account_state": state, "error": "incompatible_state", "sub": claims["sub"]}
        self.states[claims["sub"]] = becomes
        self.taken.append(claims)
        return 200, {"account_state": becomes, "sub": claims["sub"]}


def _handler(application: CommandReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, document = application.answer(self.headers.get("Content-Type", ""), body)
            application.answers.append((status, document))
            content = json.dumps(document).encode()
            self.send_response_only(status)
            for name, value in (
                ("Content-Type", "application/json"),
                ("Cache-Control", "no-store"),
                ("Content-Length", len(content)),
            ):
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler
