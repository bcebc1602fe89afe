"""A Samba Active Directory domain controller that speaks LDAP only, on a loopback address of its own. Needs root."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import trustme

from tests.support.upstreams.slapd import stop, wait_for_port

REALM, DOMAIN = "AD.TEST", "FABRIKAM"
SUFFIX = "DC=ad,DC=test"
ADMINISTRATOR = f"{DOMAIN}\\Administrator"
ADMINISTRATOR_PASSWORD = "Passw0rd!x"  # a test fixture
PASSWORD = "Correct-horse-9"
CLAIM = 10389  # a port where nothing listens
SEVERAL = """
import json, sys
from samba.netcmd.main import cmd_sambatool
for command in json.loads(sys.argv[1]):
    if cmd_sambatool()._run("samba-tool", *command):
        sys.exit(f"samba-tool {command} failed")
"""
PEOPLE = ("mary", "john", "dora", "locky", "newbie", "leaver", "expired")


class Samba:
    """`address` is where it listens (389 and 636 are fixed), `ca` the PEM of its certificate's authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address, self._claim = _claimed_address()
        folder.mkdir(parents=True)
        authority = trustme.CA()
        self.ca = authority.cert_pem.bytes().decode()
        certificate = authority.issue_cert(self.address)
        (folder / "server.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
        (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
        key = folder / "server.key"
        key.touch(mode=0o600)
        key.write_bytes(certificate.private_key_pem.bytes())
        self.configuration = folder / "dc" / "etc" / "smb.conf"
        self._provision()
        self.tools(
            *(
                ("user", "create", name, PASSWORD, f"--given-name={name.title()}", "--surname=Fabrikam",
                 f"--mail-address={name}@fabrikamcorp.com")
                for name in PEOPLE
            ),
            ("group", "add", "Timesheets"),
            ("group", "addmembers", "Timesheets", "mary"),
            ("domain", "passwordsettings", "set", "--account-lockout-threshold=3"),
        )  # fmt: skip
        self.process = self._start()

    @property
    def ldaps(self) -> str:
        return f"ldaps://{self.address}"

    def tool(self, *arguments: str) -> str:
        """samba-tool on the files of the domain, also while the server runs."""
        done = subprocess.run(
            ["samba-tool", *arguments, "-s", str(self.configuration)],
            check=True,
            capture_output=True,
            text=True,
            env=quickly(),
        )
        return done.stdout

    def tools(self, *commands: tuple[str, ...]) -> None:
        """One after the other in one process."""
        argv = [json.dumps([[*command, "-s", str(self.configuration)] for command in commands])]
        subprocess.run(["/usr/bin/python3", "-c", SEVERAL, *argv], check=True, capture_output=True, env=quickly())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        stop(self.process)
        self._claim.close()

    def _provision(self) -> None:
        subprocess.run(
            [
                *("samba-tool", "domain", "provision", f"--realm={REALM}", f"--domain={DOMAIN}", "--server-role=dc"),
                *(f"--adminpass={ADMINISTRATOR_PASSWORD}", "--use-rfc2307", f"--targetdir={self.folder / 'dc'}"),
                *("--dns-backend=NONE", "--host-name=dc1", f"--host-ip={self.address}"),
            ],
            check=True,
            capture_output=True,
            env=quickly(),
        )
        folder = self.folder
        for name in ("pid", "ncalrpc", "winbindd", "ntp", "log"):
            (folder / name).mkdir()
        ours = f"""
\tserver services = ldap
\tinterfaces = {self.address}/8
\tbind interfaces only = yes
\tpid directory = {folder}/pid
\tncalrpc dir = {folder}/ncalrpc
\twinbindd socket directory = {folder}/winbindd
\tntp signd socket directory = {folder}/ntp
\tlog file = {folder}/log/samba.log
\ttls enabled = yes
\ttls certfile = {folder}/server.pem
\ttls keyfile = {folder}/server.key
\ttls cafile = {folder}/ca.pem
\tldap server require strong auth = allow_sasl_over_tls
"""
        text = re.sub(r"^\s*server services.*\n", "", self.configuration.read_text(), flags=re.MULTILINE)
        self.configuration.write_text(text.replace("[global]\n", f"[global]{ours}", 1))

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "samba.log").open("ab") as log:
            process = subprocess.Popen(
                ["samba", "-i", "-M", "single", "-s", str(self.configuration), "--debug-stdout"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_for_port(self.address, 636, process, 30)
        return process


def quickly() -> dict[str, str]:
    """Nothing of its files has to outlive the machine: no wait for the disk after each transaction."""
    return {**os.environ, "TDB_NO_FSYNC": "1"}


def _claimed_address() -> tuple[str, socket.socket]:
    """A loopback address of our own, as LDAP's ports cannot be chosen; the socket keeps other runs away while it is open."""
    for last in range(51, 250):
        address = f"127.0.0.{last}"
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind((address, CLAIM))
            if not _is_served(address):
                return address, claim
        claim.close()
    raise RuntimeError("every loopback address serves LDAP already")


def _is_served(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, 636)) == 0
