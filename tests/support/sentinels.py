"""A Redis master, its replica and two Sentinels that watch them: real processes on loopback."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from tests.support.processes import free_port
from tests.support.receiver import wait_until
from tests.support.servers import redis_program

SERVICE, PASSWORD = "mymaster", "of-the-master"
SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel auth-pass {service} {password}
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 3000
"""


class Sentinels:
    """Context manager."""

    def __init__(self, folder: Path, user: str = "", rights: Sequence[str] = ()) -> None:
        """`user`: whom the URL names, with the rules of ACL SETUSER; else it is the default user, who may do all."""
        self.folder, self.user, self.rights = folder, user, rights
        self.master, self.replica = free_port(), free_port()
        self.nobody, *self.ports = (free_port() for _ in range(3))
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """The first Sentinel is one that nobody started."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in (self.nobody, *self.ports))
        return f"sentinel://{self.user}:{PASSWORD}@{hosts}/2?service_name={SERVICE}"

    def __enter__(self) -> Sentinels:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._serve(self.master)
        self._serve(self.replica, "--replicaof", "127.0.0.1", str(self.master))
        wait_until(lambda: self._says(self.replica, "master_link_status") == "up", 60, "no replication")
        if self.user:
            for port in (self.master, self.replica):
                self.ask(port, "ACL", "SETUSER", self.user, "on", f">{PASSWORD}", *self.rights)
        for port in self.ports:
            self._watch(port)
        wait_until(lambda: all(map(self._is_ready, self.ports)), 60, "the Sentinels do not know all")
        return self

    def __exit__(self, *_: Any) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def fail_over(self) -> None:
        """The master dies; returns when its replica is the master."""
        process = self.running[self.master]
        process.kill()
        process.wait()
        wait_until(lambda: self._says(self.replica, "role") == "master", 60, "no failover")

    def ask(self, port: int, *command: str) -> Any:
        with redis.Redis("127.0.0.1", port, password=PASSWORD) as client:
            return client.execute_command(*command)

    def _serve(self, port: int, *options: str) -> None:
        secret = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
        self._run(
            port, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder), *secret, *options
        )

    def _watch(self, port: int) -> None:
        file = self.folder / f"sentinel-{port}.conf"
        facts = {"port": port, "folder": self.folder, "master": self.master, "service": SERVICE, "password": PASSWORD}
        file.write_text(SENTINEL.format(**facts))
        self._run(port, str(file), "--sentinel")

    def _run(self, port: int, *arguments: str) -> None:
        self.running[port] = subprocess.Popen([redis_program(), *arguments], stdout=subprocess.DEVNULL)

    def _says(self, port: int, fact: str) -> object:
        with contextlib.suppress(redis.ConnectionError), redis.Redis("127.0.0.1", port, password=PASSWORD) as client:
            return client.info("replication").get(fact)
        return None

    @staticmethod
    def _is_ready(port: int) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis("127.0.0.1", port) as client:
            known = client.execute_command("SENTINEL", "MASTER", SERVICE)
            facts = dict(zip(known[::2], known[1::2], strict=True)) if isinstance(known, list) else known
            text = {_text(name): _text(value) for name, value in facts.items()}
            return text["num-slaves"] == "1" and text["num-other-sentinels"] == "1"
        return False


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
