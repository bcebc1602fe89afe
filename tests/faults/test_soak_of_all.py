"""F-M02: everything at once, with a fault a minute: who was signed out is out everywhere, and nothing grows. `make soak` runs it for half an hour.

SOAK_MINUTES says how long; SOAK_TABLE where its table goes. The run of seconds in `make test` has two faults and one program of a kind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from logout_app.models import LogoutDelivery
from sessions_app.models import SSOSession
from tests.faults.conftest import count, reconcile
from tests.faults.test_database_waits import stopped
from tests.faults.test_soak import size_of_tables
from tests.protocol.scim.conftest import provisioned
from tests.support.factories import make_connection, make_user
from tests.support.processes import Installation, Program, free_port
from tests.support.receiver import Receiver, is_ready, wait_until
from tests.support.soak import Load, Sizes
from tests.support.upstreams.scripted_transmitter import ScriptedTransmitter

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.skipif(not os.environ.get("TEST_POSTGRES_URL"), reason="the server is not ours to stop"),
]

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
IS_LONG = MINUTES > 0
SECONDS, EACH = (MINUTES * 60, 60.0) if IS_LONG else (10.0, 4.0)  # of all, and from one fault to the next
WARM_UP = 120.0  # seconds after which memory counts
GRACE = 20.0  # seconds after a fault in which its failures end: breakers, leases, a start
TOLD = 300.0  # seconds for what a receiver that was away has not heard yet


class World:
    """Curfew's programs, what they stand on, and what is done to them."""

    def __init__(
        self, installation: Installation, redis: tuple[subprocess.Popen[bytes], str], receiver: Receiver
    ) -> None:
        self.installation, self.redis, self.receiver = installation, redis[0], receiver
        installation.put_static_files()
        self.ports = [installation.port, free_port()][: 2 if IS_LONG else 1]
        self.webs = [installation.web(port) for port in self.ports]
        self.workers = [installation.worker() for _ in self.ports]
        self.beat = installation.beat() if IS_LONG else None
        self.faults: list[tuple[str, float, float]] = []  # name, begin and end on the monotonic clock

    def programs(self) -> dict[str, Program | int]:
        """The last of a kind is never killed."""
        of_one_kind = {"web": self.webs, "worker": self.workers}
        found: dict[str, Program | int] = {
            f"{kind} {n}": each for kind, all_ in of_one_kind.items() for n, each in enumerate(all_, 1)
        }
        return {**found, "redis": self.redis.pid, **({"beat": self.beat} if self.beat else {})}

    def kinds(self) -> list[tuple[str, Callable[[], AbstractContextManager[None]]]]:
        short = [("kill a worker", self.a_worker_dies), ("kill a web server", self.a_web_server_dies)]
        more = [
            ("stop Redis", self.redis_stops),
            ("pause PostgreSQL", self.postgresql_pauses),
            ("the application is away", self.the_application_is_away),
        ]
        return [*short, *more] if IS_LONG else short

    @contextmanager
    def fault(self, name: str, does: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        begun = time.monotonic()
        with does():
            yield
        self.faults.append((name, begun, time.monotonic()))

    @contextmanager
    def a_worker_dies(self) -> Iterator[None]:
        self.workers[0].kill()
        yield
        self.workers[0] = self.installation.worker(wait=False)

    @contextmanager
    def a_web_server_dies(self) -> Iterator[None]:
        self.webs[0].kill()
        yield
        self.webs[0] = self.installation.web(self.ports[0])

    @contextmanager
    def redis_stops(self) -> Iterator[None]:
        self.redis.kill()
        self.redis.wait()
        yield
        self.redis = subprocess.Popen([*self.redis.args], stdout=subprocess.DEVNULL)  # type: ignore[misc]

    @contextmanager
    def postgresql_pauses(self) -> Iterator[None]:
        folder = Path("/" + os.environ["TEST_POSTGRES_URL"].partition("@")[2].removesuffix("/postgres").strip("/"))
        with stopped(int((folder / "postmaster.pid").read_text().splitlines()[0])):
            yield
        wait_until(lambda: is_ready(f"http://localhost:{self.ports[-1]}/readyz"), 60, "not ready again")

    @contextmanager
    def the_application_is_away(self) -> Iterator[None]:
        self.receiver.behave(soak="reset")
        yield
        self.receiver.behave(soak="200")


@pytest.fixture
def world(installation: Installation, redis: Any, receiver: Receiver) -> Iterator[World]:
    found = World(installation, redis, receiver)
    yield found
    found.redis.send_signal(signal.SIGKILL)
    found.redis.wait()


@pytest.fixture
def load(world: World, application: Callable[..., Any]) -> Iterator[Load]:
    with ScriptedTransmitter() as transmitter:
        signals = {"issuer": transmitter.issuer, "audience": transmitter.audience}
        options = {"issuer": transmitter.issuer, "client_id": "curfew", "shared_signals": signals}
        places = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        options |= {name: f"{transmitter.issuer}/{name.removesuffix('_uri')}" for name in places}
        people = [make_user(f"p{number}@fabrikamcorp.com").email for number in range(60 if IS_LONG else 8)]
        yield Load(
            ports=world.ports,
            application=application("soak", backchannel_logout_initiators_mode="all"),
            people=people,
            scim=provisioned(make_connection("acme-okta", "okta")),
            signals=make_connection("signals", "oidc", options=options),
            transmitter=transmitter,
            pause=0.5 if IS_LONG else 0.1,
        )


def test_whatever_dies_who_was_ended_is_out_everywhere(
    world: World, load: Load, receiver: Receiver, tmp_path: Path
) -> None:
    record, sizes = load.record, Sizes(Path(os.environ.get("SOAK_SIZES", tmp_path / "sizes.jsonl")))
    begun, kinds = time.monotonic(), world.kinds()
    with load.running(walkers=3 if IS_LONG else 1):
        for number in range(int(SECONDS / EACH)):
            wait_until_it_is(begun + (number + 0.5) * EACH)
            sizes.note(world.programs())
            with world.fault(*kinds[number % len(kinds)]):
                time.sleep(EACH / 12)  # what is away is away for so long
        wait_until_it_is(begun + SECONDS)
        sizes.note(world.programs())
    assert record.broken == []
    assert record.alive == []
    assert record.outside(world.faults, GRACE) == []
    assert len(record.ended) >= SECONDS / 5
    wait_until(lambda: count("pending") == 0, TOLD, "deliveries wait")
    told = {token["sid"] for token in receiver.tokens("soak")}
    assert record.ended <= told
    ended = SSOSession.objects.filter(ended_at__isnull=False, clients__isnull=False).values_list("sid", flat=True)
    assert set(ended) <= told
    reconcile(receiver, LogoutDelivery.objects.count())
    assert count("dead") == 0
    write_down(world, load, sizes, time.monotonic() - begun)
    if IS_LONG:
        early, late = sizes.around(WARM_UP), sizes.rows[-1][1]
        for name in ("web 2", "worker 2"):  # which nobody killed
            assert late[name] < early[name] * 1.25 + 8, (name, early, late)


def wait_until_it_is(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def write_down(world: World, load: Load, sizes: Sizes, seconds: float) -> None:
    """For docs/faults.md."""
    if not (file := os.environ.get("SOAK_TABLE")):
        return
    record = load.record
    names = sorted(sizes.rows[-1][1])
    found = {
        "seconds": round(seconds),
        "ended": len(record.ended),
        "faults": [name for name, _, _ in world.faults],
        "latency": record.table(),
        "failed in faults": len(record.failed),
        "given up": dict(record.given_up),
        "memory": {name: [sizes.around(at)[name] for at in (WARM_UP, SECONDS / 2, SECONDS)] for name in names},
        "most memory": {name: max(row.get(name, 0.0) for _, row in sizes.rows) for name in names},
        "tables_kib": size_of_tables(),
        "deliveries": LogoutDelivery.objects.count(),
        "posts": len(world.receiver.posts()),
        "database": connection.vendor,
    }
    Path(file).write_text(json.dumps(found, indent=2))
