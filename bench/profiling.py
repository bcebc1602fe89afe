"""Where the CPU time of one act goes, in one process and without HTTP: our whole WSGI application on PostgreSQL.

    python bench/profiling.py refresh            also: sso, login, logout (of a session with ten applications),
                                                 signal (a security event; every other one ends a session)
    python bench/profiling.py login --count 300 --sort tottime --lines 60
    python bench/profiling.py refresh --sql      the statements of one act instead

DATABASE_URL names an empty database that may be overwritten. The first figures are taken without the profiler, which makes
calls of small functions look dearer than they are.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import gc
import hashlib
import io
import itertools
import json
import os
import pstats
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench.filling import CALLBACK, CLIENTS, PASSWORD  # noqa: E402

PLAN = {
    "users": [{"username": "user", "password": PASSWORD}],
    "clients": [
        {**client, "redirect_uris": [CALLBACK], "backchannel_logout_uri": "http://127.0.0.1:9/logout"}
        for client in CLIENTS
    ],
    "post_logout_redirect_uri": CALLBACK,
}
CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
VERIFIER = "verifier-of-43-characters-and-a-few-more-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


APPLICATIONS = 10  # of a session that ends
NEXT_CLIENT = itertools.cycle(CLIENTS)


class Browser:
    """Calls the WSGI application with its own cookies."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application
        self.cookies: dict[str, str] = {}
        self.client = CLIENTS[0]
        self.username = "user"
        self.scope = "openid offline_access"

    def send(
        self, method: str, path: str, form: dict[str, str] | None = None, signal: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """`signal` is a security event token, which has a body and a type of its own."""
        body = signal.encode() or urlencode(form or {}).encode()
        parts = urlsplit(path)
        answer: list[Any] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": os.environ["PORT"],
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": f"127.0.0.1:{os.environ['PORT']}",
            "HTTP_ACCEPT": "text/html",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) profiling",
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "CONTENT_TYPE": "application/secevent+jwt"
            if signal
            else "application/x-www-form-urlencoded"
            if form
            else "",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
        }
        response = self.application(environ, lambda status, headers, _=None: answer.extend((status, headers)))
        content = b"".join(response)
        response.close()
        for name, value in answer[1]:
            if name == "Set-Cookie":
                cookie, _, content_of_cookie = value.partition(";")[0].partition("=")
                self.cookies[cookie] = content_of_cookie
        return int(answer[0][:3]), dict(answer[1]), content

    def authorize(self) -> dict[str, str]:
        """Code flow with PKCE, with the login form if it comes; returns the token answer."""
        query = {
            "client_id": self.client["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": self.scope,
            "state": "state",
            "nonce": "nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        location = self.send("GET", f"/authorize?{urlencode(query)}")[1]["Location"]
        if location.startswith("/login"):
            page = self.send("GET", location)[2]
            found = CSRF.search(page)
            assert found, page
            form = {
                "csrfmiddlewaretoken": found.group(1).decode(),
                "next": parse_qs(urlsplit(location).query)["next"][0],
                "username": self.username,
                "password": PASSWORD,
            }
            location = self.send("POST", "/login", form)[1]["Location"]
        code = parse_qs(urlsplit(location).query)["code"][0]
        return self.token(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        )

    def token(self, form: dict[str, str]) -> dict[str, str]:
        return self.ask("/oauth/token", form)

    def ask(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        """What the application, which holds no cookie, is answered."""
        status, _, body = type(self)(self.application).send("POST", path, {**self.client, **form})
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer


def login(application: Callable[..., Any]) -> Callable[[], None]:
    def act() -> None:
        browser = Browser(application)
        browser.client = next(NEXT_CLIENT)
        browser.authorize()

    return act


def sso(application: Callable[..., Any]) -> Callable[[], None]:
    browser = Browser(application)
    browser.authorize()

    def act() -> None:
        browser.client = next(NEXT_CLIENT)
        browser.authorize()

    return act


def refresh(application: Callable[..., Any]) -> Callable[[], None]:
    browser = Browser(application)
    kept = browser.authorize()

    def act() -> None:
        kept.update(browser.token({"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}))

    return act


class Logout:
    """Ends sessions that `prepare` opened."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application
        self.open: list[tuple[Browser, dict[str, str]]] = []

    def prepare(self, count: int) -> None:
        for _ in range(count):
            browser = Browser(self.application)
            for browser.client in CLIENTS[:APPLICATIONS]:
                tokens = browser.authorize()
            self.open.append((browser, tokens))

    def __call__(self) -> None:
        browser, tokens = self.open.pop()
        query = {
            "id_token_hint": tokens["id_token"],
            "client_id": browser.client["client_id"],
            "post_logout_redirect_uri": CALLBACK,
            "state": "state",
        }
        location = browser.send("GET", f"/oidc/logout?{urlencode(query)}")[1]["Location"]
        assert location.startswith(CALLBACK), location


class Signal:
    """Takes security events that `prepare` signed, half of which are about nobody."""

    def __init__(self, application: Callable[..., Any]) -> None:
        from bench import gtr, scim

        self.application = application
        self.tokens: list[str] = []
        self.until_exit = ExitStack()
        self.issuer, self.key = self.until_exit.enter_context(gtr.key_server())
        self.connection = scim.connect(self.issuer)

    def prepare(self, count: int) -> None:
        from bench import scim

        subs = scim.make_sessions(self.connection, (count + 1) // 2)
        for sub in subs:
            self.tokens += (scim.signed(self.issuer, self.key, name) for name in (sub, f"no-{sub}"))

    def __call__(self) -> None:
        path = f"/ssf/{self.connection.name}/events"
        status, _, body = Browser(self.application).send("POST", path, signal=self.tokens.pop())
        assert status == 202, body


ACTS: dict[str, Callable[..., Callable[[], None]]] = {
    "login": login,
    "sso": sso,
    "refresh": refresh,
    "logout": Logout,
    "signal": Signal,
}


def prepare_acts(act: Callable[[], None], count: int) -> None:
    """What must be there before an act, and is not measured with it."""
    if isinstance(act, Logout | Signal):
        act.prepare(count)


def measure(act: Callable[[], None], count: int) -> float:
    """CPU milliseconds of this process for one act."""
    began = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - began) * 1000 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=ACTS)
    parser.add_argument("--count", type=int, default=500, help="acts of each of three measurements, and of the profile")
    parser.add_argument("--lines", type=int, default=45)
    parser.add_argument("--sort", default="cumulative", help="as pstats: cumulative, tottime, ncalls")
    parser.add_argument("--sql", action="store_true", help="print the statements of one act")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="curfew-profile-") as folder:
        run(options, prepare(Path(folder)))


def prepare(folder: Path) -> Callable[..., Any]:
    """A database with one person and one application; returns our WSGI application."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps(PLAN))
    defaults = {
        "DATABASE_URL": "postgres://bench@127.0.0.1:54329/curfew",
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "BENCH_PROVISION": str(plan),
        "CURFEW_DATA": str(folder),
        "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8",
        "CURFEW_LOG_LEVEL": "WARNING",
        "PORT": "18321",
        "ISSUER": "http://127.0.0.1:18321/",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    from bench import seed

    seed.main()
    from django.db import connections

    from idp.processes import role

    connections.close_all()
    role.become(role.ProcessRole.WEB)
    from idp.wsgi import application

    return application


def run(options: argparse.Namespace, application: Callable[..., Any]) -> None:
    act = ACTS[options.act](application)
    prepare_acts(act, 20 + (1 if options.sql else 4 * options.count))
    measure(act, 20)  # caches, connections, keys
    if options.sql:
        print_statements(act)
        return
    gc.collect()
    figures = sorted(measure(act, options.count) for _ in range(3))
    print(f"{options.act}: {figures[1]:.2f} ms of CPU (median of {', '.join(f'{figure:.2f}' for figure in figures)})")
    profile = cProfile.Profile()
    profile.runcall(measure, act, options.count)
    pstats.Stats(profile).strip_dirs().sort_stats(options.sort).print_stats(options.lines)


def print_statements(act: Callable[[], None]) -> None:
    from django.db import connection

    statements: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(note):
        act()
    for number, statement in enumerate(statements, 1):
        print(f"{number:3}. {statement}\n")


if __name__ == "__main__":
    main()
