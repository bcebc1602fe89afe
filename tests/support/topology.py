"""The production topology from processes on loopback: PostgreSQL with a standby, Redis with Sentinels, two web servers behind
nginx with TLS, two workers, one beat. `python -m tests.support.topology` runs it until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import requests
import trustme

from tests.support import template
from tests.support.processes import ROOT, Installation, Program, free_port, served_at
from tests.support.receiver import is_ready, wait_until
from tests.support.sentinels import Sentinels
from tests.support.standby import PostgresPair

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {ours}
}}
"""


class Topology:
    """Context manager."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o711)  # root's PostgreSQL runs as somebody else
        self.folder, self.tls, self.plain = folder, free_port(), free_port()
        self.postgres, self.redis = PostgresPair(folder), Sentinels(folder / "redis")
        self.authority = folder / "authority.pem"
        self.web_ports = (free_port(), free_port())
        self._ends = contextlib.ExitStack()

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.tls}/"

    def __enter__(self) -> Topology:
        with self._ends as ends:
            ends.enter_context(self.postgres)
            ends.enter_context(self.redis)
            self.installation = ends.enter_context(self._installation())
            template.begin_postgres("curfew", self.postgres.address, self.postgres.version)
            self.run("manage.py", "up", "--prepare-only")
            self.web = [self.start_web(port) for port in self.web_ports]
            self.workers = [self.installation.worker(), self.installation.worker()]
            self.installation.beat()
            ends.enter_context(self._nginx())
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ends.close()

    def start_web(self, port: int) -> Program:
        program = self.installation.start("web", served_at(port))
        wait_until(lambda: is_ready(f"http://localhost:{port}/readyz"), 180, program.log.name)
        return program

    def roll_web(self) -> None:
        """One web server after the other ends and is followed by a new one."""
        for number, port in enumerate(self.web_ports):
            self.web[number].terminate(20)
            self.web[number] = self.start_web(port)

    def roll_workers(self) -> None:
        for number, worker in enumerate(self.workers):
            worker.terminate(30)
            self.workers[number] = self.installation.worker()

    def run(self, *argv: str, **environment: str) -> str:
        """A command that ends by itself; what it and its log said."""
        program = self.installation.start("command", list(argv), **environment)
        assert program.process.wait(120) == 0, program.text
        return program.text

    def _installation(self) -> Installation:
        return Installation(
            self.folder,
            redis_url=self.redis.url,
            DATABASE_URL=self.postgres.url(),
            ISSUER=self.issuer,
            SECRET_KEY=secrets.token_urlsafe(48),
            CURFEW_ENCRYPTION_KEYS=secrets.token_urlsafe(32),
            CURFEW_TRUSTED_PROXIES="127.0.0.0/8",
            CURFEW_DEMO="0",
        )

    @contextlib.contextmanager
    def _nginx(self) -> Any:
        """With the file that `docker-compose.yml` mounts, but for addresses."""
        folder = self.folder / "nginx"
        folder.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(folder / "privkey.pem")
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(folder / "fullchain.pem", append=True)
        ours = (ROOT / "examples" / "production" / "nginx.conf").read_text().replace("/etc/nginx/tls", str(folder))
        servers = " ".join(rf"server 127.0.0.1:{port}\1;" for port in self.web_ports)
        ours = re.sub(r"resolver .*\n", "\n", ours)
        ours = re.sub(r"server web:8000 resolve(.*?);", servers, ours)
        ours = ours.replace("listen 80;", f"listen 127.0.0.1:{self.plain};")
        ours = ours.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.tls} ssl;")
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, ours=ours))
        with subprocess.Popen(["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]) as nginx:
            try:
                wait_until(self._answers, 30, "nginx did not start")
                yield
            finally:
                nginx.send_signal(signal.SIGQUIT)

    def _answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.issuer}readyz", verify=str(self.authority), timeout=10).ok
        return False


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="curfew-") as folder, Topology(Path(folder)) as running:
        print(f"{running.issuer} by the authority {running.authority}\nCtrl-C stops it.")  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    import django

    django.setup()
    main()
