"""How fast one worker's drain empties the outbox, on one core, and what a delivery costs it.

    python bench/drain.py                        5,000 deliveries to 10 applications, RS256; also: --alg ES256
    python bench/drain.py --dead 1 --rows 10000 --apps 20      one application never answers; memory once a second
    python bench/drain.py --profile              where the CPU time goes

DATABASE_URL names an empty database that may be overwritten. The applications are one process of the harness (`run.py`)
on another core. Compared with: a bare aiohttp loop, 50 at a time, that signs with the same algorithm and posts to the same place.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
HARNESS = Path(os.environ.get("BENCH_HARNESS", PROJECT.parent / "shared" / "bench"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--apps", type=int, default=10)
    parser.add_argument("--dead", type=int, default=0, help="how many of the applications never answer")
    parser.add_argument("--alg", choices=["RS256", "ES256"], default="RS256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", default="0:1", help="the drain's core and the applications'")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    ours, theirs = options.cores.split(":")
    os.sched_setaffinity(0, {int(ours)})
    with tempfile.TemporaryDirectory(prefix="curfew-drain-") as folder, sink(theirs) as base:
        prepare(Path(folder), base, options)
        from logout_app.worker.process import tune_process

        tune_process()
        for _ in range(options.rounds):
            measure(base, options)


@contextmanager
def sink(core: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = subprocess.Popen(["taskset", "-c", core, sys.executable, str(HARNESS / "sink.py"), str(port)])
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill()
        program.wait()


def call(base: str, act: str, value: object = None) -> Any:
    data = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{base}/_ctl/{act}", data), timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def prepare(folder: Path, base: str, options: argparse.Namespace) -> None:
    clients = [
        {
            "client_id": f"app-{number}",
            "client_secret": "secret-0123456789abcdef0123456789",
            "redirect_uris": ["http://127.0.0.1:9/cb"],
            "backchannel_logout_uri": f"{base}/bcl/app-{number}",
        }
        for number in range(options.apps)
    ]
    plan = {"users": [{"username": "user", "password": "x"}], "clients": clients, "post_logout_redirect_uri": ""}
    (folder / "plan.json").write_text(json.dumps(plan))
    defaults = {
        "DATABASE_URL": "postgres://bench@127.0.0.1:54329/curfew",
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "BENCH_PROVISION": str(folder / "plan.json"),
        "CURFEW_DATA": str(folder),
        "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8",
        "ISSUER": "http://127.0.0.1:18321/",
        "ALG": options.alg,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    sys.path.insert(0, str(PROJECT))
    from bench import seed

    seed.main()


def queue_rows(count: int) -> None:
    from django.utils import timezone

    from idp.models import Application
    from logout_app.models import LogoutDelivery, LogoutEvent

    LogoutDelivery.objects.all().delete()
    now = timezone.now()
    event = LogoutEvent.objects.create(initiator="rp-logout", actor="user", at=now)
    apps = list(Application.objects.order_by("pk"))
    LogoutDelivery.objects.bulk_create(
        (
            LogoutDelivery(
                event=event,
                application=apps[number % len(apps)],
                receiver=f"app:{apps[number % len(apps)].pk}",
                client_id=apps[number % len(apps)].client_id,
                channel="backchannel",
                sub="auth0|000000000000000000000000",
                sid=f"session-{number // len(apps):032}",
                due_at=now,
                created_at=now,
            )
            for number in range(count)
        ),
        batch_size=1000,
    )


def measure(base: str, options: argparse.Namespace) -> None:
    cpu = time.process_time()
    bare = asyncio_run(bare_loop(base, options))
    bare_cpu = (time.process_time() - cpu) / options.rows
    call(base, "reset", {})
    call(base, "behaviour", {f"app-{number}": {"latency": 3600} for number in range(options.dead)})
    queue_rows(options.rows)
    expected = options.rows - options.rows * options.dead // options.apps
    samples: list[int] = []
    began, cpu = time.monotonic(), drain_cpu()
    profile = cProfile.Profile() if options.profile else None
    with draining(profile):
        while pending_of_healthy(options.dead) and time.monotonic() - began < 300:
            time.sleep(0.1)
            samples.append(memory())
        seconds, used = time.monotonic() - began, drain_cpu() - cpu
    print(
        f"{options.alg}: {expected / seconds:6.0f} deliveries/s ({expected / seconds / bare:.0%} of the bare loop's {bare:.0f})"
        f"  {used / expected * 1e6:.0f} us of CPU each (bare {bare_cpu * 1e6:.0f})  RSS {min(samples)} .. {max(samples)} MiB, at the end {samples[-1]}"
        f"  peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}",
        flush=True,
    )
    if profile:
        pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(45)


def drain_cpu() -> float:
    """Seconds of all threads but this one, which only watches."""
    return time.process_time() - time.thread_time()


def pending_of_healthy(dead: int) -> bool:
    from logout_app.models import LogoutDelivery

    rows = LogoutDelivery.objects.filter(state="pending")
    return rows.exclude(client_id__in=[f"app-{number}" for number in range(dead)]).exists()


def memory() -> int:
    """Resident MiB now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def asyncio_run(work: Any) -> Any:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def draining(profile: cProfile.Profile | None) -> Iterator[None]:
    """The drain in a thread, as in the worker."""
    from logout_app.delivery.drain import Drain

    drain = Drain()

    def work() -> None:
        run: Callable[..., Any] = profile.runcall if profile else lambda function, *args: function(*args)
        run(asyncio_run, drain.run())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        drain.stop()
        thread.join()


async def bare_loop(base: str, options: argparse.Namespace) -> float:
    """Deliveries per second of nothing but signing and posting."""
    import aiohttp
    from django.conf import settings
    from django.utils import timezone
    from joserfc import jwt

    from idp.crypto import keys
    from idp.tenants import configuration
    from logout_app.protocol import logout_token

    key = await asyncio.to_thread(lambda: keys.active(options.alg, configuration.current()))
    numbers = iter(range(options.rows))
    began = time.monotonic()

    async def work(client: aiohttp.ClientSession) -> None:
        for number in numbers:
            claims = logout_token.claims(
                issuer=settings.ISSUER, client_id="app", sub="s", sid="s", include_sub=True, at=timezone.now()
            )
            token = jwt.encode(
                {"alg": options.alg, "typ": "logout+jwt", "kid": key.kid}, claims, key.key, [options.alg]
            )
            url = f"{base}/bcl/bare-{number % options.apps}"
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with client.post(url, data=b"logout_token=" + token.encode(), headers=headers) as answer:
                await answer.read()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as client:
        await asyncio.gather(*(work(client) for _ in range(50)))
    return options.rows / (time.monotonic() - began)


if __name__ == "__main__":
    main()
