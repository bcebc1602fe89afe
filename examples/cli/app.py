"""A program for the terminal that signs a person in with Curfew. Run it beside `make run`, after applying tenant.yaml:

    python -m examples.cli.app login            opens the browser and listens on a loopback port (RFC 8252)
    python -m examples.cli.app login --device   shows a code to type on another device (RFC 8628)
    python -m examples.cli.app whoami           asks the API; renews the tokens when it must
    python -m examples.cli.app logout           revokes the tokens of this program; the browser stays signed in

CLI_ISSUER (default http://localhost:8000/) and CLI_TOKENS (the file that keeps the tokens) may be given in the environment.
It asks for no offline_access: when the person signs out anywhere, or somebody ends the session, its access ends too.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import secrets
import sys
import time
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

ISSUER = os.environ.get("CLI_ISSUER", "http://localhost:8000/")
TOKENS = Path(os.environ.get("CLI_TOKENS", Path.home() / ".curfew-cli.json"))
CLIENT_ID = "Nk7cT1uHs5wGqB9vXe3LzR8yJ0mDf2Pa"
SCOPE = "openid profile email"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SIGN_IN_WITHIN = 300  # seconds
TIMEOUT = 20  # seconds for one request


class Refused(Exception):
    """The identity provider said no: its `error`, and what it means for a person."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description or error)
        self.error = error


def post(path: str, **form: str) -> dict[str, Any]:
    response = requests.post(f"{ISSUER}{path}", data={"client_id": CLIENT_ID, **form}, timeout=TIMEOUT)
    body: dict[str, Any] = response.json()
    if not response.ok:
        raise Refused(body.get("error", ""), body.get("error_description", ""))
    return body


# --- signing in by the browser of this machine ---------------------------------------------------------------------------
class Callback(BaseHTTPRequestHandler):
    answer: dict[str, str] = {}

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/callback":
            return self.send_error(404)
        type(self).answer = dict(parse_qsl(parts.query))
        body = b"<!doctype html><title>Done</title><p>You can close this page and go back to the terminal."
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the request line carries the code."""


def login_by_browser() -> dict[str, Any]:
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with HTTPServer(("127.0.0.1", 0), Callback) as server:
        redirect_uri = f"http://127.0.0.1:{server.server_port}/callback"
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        url = f"{ISSUER}authorize?{urlencode(query)}"
        print(f"Sign in with your browser: {url}", flush=True)
        webbrowser.open(url)
        answer = wait_for_answer(server, state)
    return post(
        "oauth/token",
        grant_type="authorization_code",
        code=answer["code"],
        redirect_uri=redirect_uri,
        code_verifier=verifier,
    )


def wait_for_answer(server: HTTPServer, state: str) -> dict[str, str]:
    """What the browser brings. Other programs may knock at this port too: only our state counts."""
    deadline = time.monotonic() + SIGN_IN_WITHIN
    server.timeout = 1
    while time.monotonic() < deadline:
        server.handle_request()
        answer = Callback.answer
        if not secrets.compare_digest(answer.get("state", "").encode(), state.encode()) or answer.get("iss") != ISSUER:
            continue
        if "error" in answer:
            raise Refused(answer["error"], answer.get("error_description", ""))
        return answer
    raise Refused("timeout", "Nobody signed in.")


# --- signing in by another device ----------------------------------------------------------------------------------------
def login_by_device() -> dict[str, Any]:
    started = post("oauth/device/code", scope=SCOPE)
    print(f"Open {started['verification_uri']} and type {started['user_code']}", flush=True)
    print(f"or open {started['verification_uri_complete']}", flush=True)
    interval, deadline = started["interval"], time.monotonic() + started["expires_in"]
    while time.monotonic() < deadline:
        time.sleep(interval)
        try:
            return post("oauth/token", grant_type=DEVICE_GRANT, device_code=started["device_code"])
        except Refused as refusal:
            if refusal.error == "slow_down":
                interval += 5
            elif refusal.error != "authorization_pending":
                raise
    raise Refused("expired_token", "Nobody typed the code in time.")


# --- using and giving up the tokens --------------------------------------------------------------------------------------
def keep(tokens: dict[str, Any]) -> None:
    """Readable by the owner only; a new refresh token replaces the old one before anything else happens."""
    partial = TOKENS.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({name: tokens[name] for name in ("access_token", "refresh_token") if name in tokens}, file)
    partial.replace(TOKENS)


def kept() -> dict[str, str]:
    if not TOKENS.exists():
        raise Refused("signed_out", "You are not signed in.")
    tokens: dict[str, str] = json.loads(TOKENS.read_text())
    return tokens


def whoami() -> str:
    """The e-mail address of the person; renews an access token that expired. A session that ended elsewhere ends here."""
    tokens = kept()
    answer = userinfo(tokens["access_token"])
    if answer.status_code == 401:
        try:
            tokens = post("oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        except Refused as refusal:
            if refusal.error == "invalid_grant":
                TOKENS.unlink()
                raise Refused("signed_out", "Your session has ended: you were signed out.") from None
            raise
        keep(tokens)
        answer = userinfo(tokens["access_token"])
    answer.raise_for_status()
    return str(answer.json()["email"])


def userinfo(access_token: str) -> requests.Response:
    return requests.get(f"{ISSUER}userinfo", headers={"Authorization": f"Bearer {access_token}"}, timeout=TIMEOUT)


def logout() -> None:
    post("oauth/revoke", token=kept()["refresh_token"], token_type_hint="refresh_token")
    TOKENS.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description="Sign in with Curfew from a terminal.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("login", help="sign in").add_argument("--device", action="store_true", help="by a code")
    commands.add_parser("whoami", help="who is signed in")
    commands.add_parser("logout", help="give the tokens up")
    arguments = parser.parse_args()
    try:
        if arguments.command == "login":
            keep(login_by_device() if arguments.device else login_by_browser())
            print(f"Signed in as {whoami()}.")
        elif arguments.command == "whoami":
            print(whoami())
        else:
            logout()
            print("Signed out of this program.")
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
