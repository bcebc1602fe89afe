"""OpenLDAP's slapd with a small company in it, over ldaps and StartTLS."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import trustme

from tests.support.processes import free_port

SUFFIX = "dc=fabrikam,dc=test"
ADMIN, ADMIN_PASSWORD = f"cn=curfew,{SUFFIX}", "a service account's password"  # a test fixture
PASSWORD = "correct horse battery staple"
PEOPLE = {"mary": "Mary Major", "john": "John Doe", "bob": "Bob Roe"}

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/db
overlay memberof
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to * by * read
{extra}
"""
_TOP = """dn: {suffix}
objectClass: dcObject
objectClass: organization
dc: fabrikam
o: Fabrikam

dn: ou=people,{suffix}
objectClass: organizationalUnit
ou: people
"""
_PERSON = """
dn: uid={uid},ou=people,{suffix}
objectClass: inetOrgPerson
uid: {uid}
cn: {name}
displayName: {name}
givenName: {given}
sn: {family}
mail: {uid}@fabrikamcorp.com
userPassword: {password}
"""


class Slapd:
    """`ldaps` and `ldap` are its URLs, `ca` the PEM of the authority that its certificate is from."""

    def __init__(self, folder: Path, *, names: tuple[str, ...] = ("127.0.0.1",), extra: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "db").mkdir()
        authority = trustme.CA()
        self.ca = authority.cert_pem.bytes().decode()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert(*names)
        certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
        certificate.private_key_pem.write_to_path(folder / "server.key")
        self.tls_port, self.port = free_port(), free_port()
        self.ldaps, self.ldap = f"ldaps://127.0.0.1:{self.tls_port}", f"ldap://127.0.0.1:{self.port}"
        texts = {"folder": folder, "suffix": SUFFIX, "admin": ADMIN, "password": ADMIN_PASSWORD, "extra": extra}
        (folder / "slapd.conf").write_text(_CONFIGURATION.format(**texts))
        self._seed()
        self.process = self._start()

    def _seed(self) -> None:
        text = _TOP.format(suffix=SUFFIX)
        for uid, name in PEOPLE.items():
            given, _, family = name.partition(" ")
            text += _PERSON.format(uid=uid, name=name, given=given, family=family, suffix=SUFFIX, password=PASSWORD)
        (self.folder / "seed.ldif").write_text(text)
        subprocess.run(
            ["slapadd", "-f", self.folder / "slapd.conf", "-l", self.folder / "seed.ldif"],
            check=True,
            capture_output=True,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )

    def _start(self) -> subprocess.Popen[bytes]:
        addresses = f"{self.ldap} {self.ldaps}"
        with (self.folder / "slapd.log").open("ab") as log:
            process = subprocess.Popen(
                ["/usr/sbin/slapd", "-f", self.folder / "slapd.conf", "-h", addresses, "-d", "stats"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for_port("127.0.0.1", self.tls_port, process)
        return process

    @property
    def log(self) -> str:
        """Every operation that the server was asked for, one line each."""
        return (self.folder / "slapd.log").read_text(errors="replace")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def change(self, ldif: str) -> None:
        """Change entries as the administrator (RFC 2849)."""
        subprocess.run(
            ["ldapmodify", "-x", "-H", self.ldap, "-ZZ", "-D", ADMIN, "-w", ADMIN_PASSWORD],
            input=ldif.encode(),
            check=True,
            capture_output=True,
            env={**os.environ, "LDAPTLS_CACERT": str(self.folder / "ca.pem")},
        )

    def stop(self) -> None:
        stop(self.process)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def wait_for_port(host: str, port: int, process: subprocess.Popen[bytes], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server at {host}:{port} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at {host}:{port}")
