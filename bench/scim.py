"""A directory of 10,000 people comes by SCIM, and 10,000 security events in a row: requests per second, and memory.

    python bench/scim.py                                   10,000 of each, 4 connections at once
    python bench/scim.py --people 1000 --events 1000

DATABASE_URL names an empty PostgreSQL database that may be overwritten. Curfew's web server is one process with the product's
settings; the one application takes its logout tokens at once. The source does what Okta does: it looks for each person by userName, makes them, puts them into groups of 100, reads
everybody page by page, changes everybody by PUT, and deactivates a tenth. The server's memory is read after each tenth of a phase.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import drain, gtr  # noqa: E402

SOURCE, SIGNALS = "bench-scim", "bench-signals"
USER, GROUP = (f"urn:ietf:params:scim:schemas:core:2.0:{name}" for name in ("User", "Group"))
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
DISABLED = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
AT_MOST = 600.0  # seconds for one phase


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=4, help="connections of the source")
    parser.add_argument("--cores", default="0:1", help="Curfew's core and the source's")
    parser.add_argument("--port", type=int, default=18331)
    options = parser.parse_args()
    ours, theirs = options.cores.split(":")
    os.sched_setaffinity(0, {int(theirs)})
    os.environ["ISSUER"] = f"http://127.0.0.1:{options.port}/"
    os.environ["CURFEW_OUTBOUND_ALLOW"] = "127.0.0.0/8"
    options.alg, options.apps = "ES256", 1
    with (
        tempfile.TemporaryDirectory(prefix="curfew-scim-") as folder,
        gtr.key_server() as (issuer, key),
        drain.sink(theirs) as application,
    ):
        drain.prepare(Path(folder), application, options)
        token = provision()
        with gtr.processes(ours, options.port, folder):
            server = Server(options.port, options.at_once)
            sync(server, token, options.people)
            storm(server, issuer, key, options.events)


class Server:
    """Requests by as many connections, and the memory of whoever answers them."""

    def __init__(self, port: int, at_once: int) -> None:
        self.base, self.at_once = f"http://127.0.0.1:{port}", at_once
        self.local = threading.local()
        self.pids = [pid for pid in descendants() if "granian" in command_of(pid)]

    def send(self, method: str, path: str, **given: Any) -> requests.Response:
        """As a source that comes again when it is told to."""
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
        while True:
            answer = self.local.session.request(method, f"{self.base}{path}", timeout=60, **given)
            if answer.status_code not in (429, 503):
                return answer  # type: ignore[no-any-return]
            time.sleep(float(answer.headers["Retry-After"]))

    def memory(self) -> int:
        """MiB that are resident in the web server's largest process."""
        resident = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids]
        return max(resident) * os.sysconf("SC_PAGE_SIZE") // 2**20

    def cpu(self) -> float:
        """Seconds of the web server's processes."""
        ticks = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13] for pid in self.pids]
        return sum(int(part) for both in ticks for part in both) / os.sysconf("SC_CLK_TCK")

    def phase(self, name: str, acts: Iterable[Callable[[], int]], count: int) -> None:
        """Run them, each of which answers with its status, and say how fast it was."""
        began, cpu, statuses = time.monotonic(), self.cpu(), Counter[int]()
        times, memory = list[float](), list[int]()

        def run(act: Callable[[], int]) -> None:
            if time.monotonic() - began > AT_MOST:
                raise SystemExit(f"{name}: not done after {AT_MOST:.0f} s")
            start = time.monotonic()
            statuses[act()] += 1
            times.append(time.monotonic() - start)
            if len(times) % max(1, count // 10) == 0:
                memory.append(self.memory())

        with ThreadPoolExecutor(self.at_once) as pool:
            for _ in pool.map(run, acts):
                pass
        took = time.monotonic() - began
        quantiles = statistics.quantiles(times, n=100)
        print(
            f"{name}: {count / took:.0f}/s ({took:.1f} s), cpu ms {(self.cpu() - cpu) / count * 1000:.1f}, median {quantiles[49] * 1000:.0f} ms, p99 {quantiles[98] * 1000:.0f} ms, "
            f"{dict(statuses)}, MiB {' '.join(map(str, memory))}",
            flush=True,
        )


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def descendants() -> list[int]:
    """Of this process, and theirs."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found, more = list[int](), [os.getpid()]
    while more:
        more = [pid for pid, parent in parents.items() if parent in more]
        found += more
    return found


# --- a sync ------------------------------------------------------------------------------------------------------------


def provision() -> str:
    from django.utils import timezone

    from idp.models import Connection
    from idp.scim import tokens

    connection = Connection.objects.create(name=SOURCE, strategy="okta", options={})
    at = timezone.now()
    return tokens.create(tokens.switch_on(connection, actor="bench", at=at), actor="bench", at=at).raw


def person(number: int, **more: Any) -> dict[str, Any]:
    name = f"person{number}@bench.example"
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Person", "familyName": str(number)},
        "displayName": f"Person {number}",
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "externalId": f"00u{number}",
        "locale": "en-US",
        "groups": [],
        "active": True,
    } | more


def sync(server: Server, token: str, people: int) -> None:
    base, headers = f"/scim/v2/connections/{SOURCE}", {"Authorization": f"Bearer {token}"}
    ids: dict[int, str] = {}

    def send(method: str, path: str, body: Any = None) -> requests.Response:
        return server.send(method, f"{base}{path}", json=body, headers=headers)

    def look(number: int) -> int:
        return send(
            "GET", f'/Users?filter=userName eq "person{number}@bench.example"&startIndex=1&count=100'
        ).status_code

    def make(number: int) -> int:
        answer = send("POST", "/Users", person(number))
        ids[number] = answer.json()["id"]
        return answer.status_code

    def join(some: range) -> int:
        members = [{"value": ids[number]} for number in some]
        return send(
            "POST", "/Groups", {"schemas": [GROUP], "displayName": f"Group {some[0]}", "members": members}
        ).status_code

    def patch(number: int) -> int:
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
        return send("PATCH", f"/Users/{ids[number]}", body).status_code

    def put(number: int) -> int:
        return send("PUT", f"/Users/{ids[number]}", person(number, title="Engineer")).status_code

    def page(start: int) -> int:
        return send("GET", f"/Users?startIndex={start}&count=100").status_code

    def phase(name: str, act: Callable[[Any], int], over: Any) -> None:
        server.phase(name, [lambda one=one: act(one) for one in over], len(over))  # type: ignore[misc]

    everybody = range(people)
    phase("look for each", look, everybody)
    phase("make each", make, everybody)
    phase("groups of 100", join, [range(start, min(start + 100, people)) for start in range(0, people, 100)])
    phase("pages of 100", page, range(1, people + 1, 100))
    phase("change each", put, everybody)
    phase("deactivate a tenth", patch, range(0, people, 10))


# --- a storm of security events ----------------------------------------------------------------------------------------


def storm(server: Server, issuer: str, key: Any, events: int) -> None:
    """Half of them revoke a session each, half are about nobody; signed before, as somebody else's processor would."""
    connection = connect(issuer)
    subs = make_sessions(connection, events // 2)
    tokens = [
        signed(issuer, key, subs[number] if number < len(subs) else f"nobody{number}") for number in range(events)
    ]

    def push(token: str) -> int:
        return server.send(
            "POST", f"/ssf/{SIGNALS}/events", data=token, headers={"Content-Type": "application/secevent+jwt"}
        ).status_code

    server.phase("security events", [lambda token=token: push(token) for token in tokens], events)  # type: ignore[misc]
    from sessions_app.models import SSOSession

    alive = SSOSession.objects.filter(connection=connection, ended_at=None).count()
    print(f"{len(subs)} sessions were named, {alive} of them are alive", flush=True)


def connect(issuer: str) -> Any:
    """A connection whose issuer sends events."""
    from idp.models import Connection

    places = {name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    signals = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks", "audience": "bench"}
    options = {"issuer": issuer, "client_id": "bench", **places, "shared_signals": signals}
    return Connection.objects.create(name=SIGNALS, strategy="oidc", options=options)


def make_sessions(connection: Any, count: int) -> list[str]:
    """As many people, each with a session that one application shares."""
    from datetime import timedelta

    from django.utils import timezone

    from idp.models import Application, Identity, User
    from sessions_app.models import SessionClient, SSOSession

    now, application = timezone.now(), Application.objects.order_by("pk")[0]
    subs = [f"signal-{secrets.token_hex(6)}" for _ in range(count)]
    users = User.objects.bulk_create([User(user_id=connection.user_id_of(sub), created_at=now) for sub in subs])
    accounts = Identity.objects.bulk_create(
        [
            Identity(user=user, connection=connection, sub=sub, created_at=now)
            for user, sub in zip(users, subs, strict=True)
        ]
    )
    times = {
        "auth_time": now - timedelta(minutes=1),
        "last_seen_at": now,
        "idle_expires_at": now + timedelta(days=3),
        "expires_at": now + timedelta(days=7),
    }
    sessions = SSOSession.objects.bulk_create(
        [
            SSOSession(user=one.user, identity=one, connection=connection, cookie_hash=secrets.token_hex(32), **times)
            for one in accounts
        ]
    )
    SessionClient.objects.bulk_create([SessionClient(session=row, application=application) for row in sessions])
    return subs


def signed(issuer: str, key: Any, sub: str) -> str:
    from joserfc import jwt

    claims = {
        "iss": issuer,
        "aud": "bench",
        "jti": secrets.token_urlsafe(12),
        "iat": int(time.time()),
        "sub_id": {"format": "iss_sub", "iss": issuer, "sub": sub},
        "events": {REVOKED: {}},
    }
    return jwt.encode({"alg": "RS256", "typ": "secevent+jwt"}, claims, key)


if __name__ == "__main__":
    main()
