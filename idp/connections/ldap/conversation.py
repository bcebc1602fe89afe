"""One conversation with one server of a directory: TLS first, then searches and binds, all of it before one deadline."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import ldap3
from ldap3.core.exceptions import LDAPException

from idp import outbound
from idp.connections.contract import UpstreamFault
from idp.connections.ldap.options import LdapOptions, ServerAddress
from idp.outbound import dial

SUCCESS, SIZE_LIMIT, REFERRAL, NO_SUCH_OBJECT, INVALID_CREDENTIALS = 0, 4, 10, 32, 49  # RFC 4511 section 4.1.9
ELSEWHERE = {3, 11, 51, 52}  # timeLimitExceeded, adminLimitExceeded, busy, unavailable: another server may know better


class Unreachable(Exception):
    """This server gave no answer that counts; the next one may. The text is a sentence's end: `server` + text."""


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One hit. Attribute names are in lower case: directories answer in the case of their schema, not of the question."""

    dn: str
    attributes: Mapping[str, list[bytes]]

    def texts(self, name: str) -> list[str]:
        return [value.decode("utf-8", "replace") for value in self.attributes.get(name.lower(), [])]

    def text(self, name: str) -> str:
        return next(iter(self.texts(name)), "")


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a server said to a bind. `diagnostic` is where Active Directory hides its reasons."""

    code: int
    diagnostic: str


class _Server(ldap3.Server):
    """Dials what was vetted; the library would look the name up again."""

    def __init__(self, address: ServerAddress, candidates: Sequence[dial.Candidate], seconds: float, tls: _Tls) -> None:
        each = max(0.05, seconds / len(candidates))
        super().__init__(
            address.host, port=address.port, use_ssl=address.tls, tls=tls, get_info=ldap3.NONE, connect_timeout=each
        )
        self._candidates = [
            [family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sockaddr, None, None]
            for family, sockaddr in candidates
        ]

    def candidate_addresses(self) -> list[list[Any]]:
        return self._candidates


class _Tls(ldap3.Tls):
    """The standard library's check of certificate and host name in the place of ldap3's own."""

    def __init__(self, context: ssl.SSLContext, host: str, fuse: dial.Fuse) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context, self._host, self._fuse = context, host, fuse
        self.failure: Exception | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        self._fuse.watch(connection.socket)
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)
        except (OSError, ValueError) as error:
            self.failure = error  # ldap3 makes another error of it, without its kind
            raise


class Conversation:
    """Context manager. Raises Unreachable, and UpstreamFault for what no other server would answer differently."""

    def __init__(self, address: ServerAddress, options: LdapOptions, *, deadline: float) -> None:
        self.address, self._options, self._deadline = address, options, deadline
        self._fuse = dial.Fuse(deadline)
        self._ldap: Any = None

    def __enter__(self) -> Self:
        self._fuse.__enter__()
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._fuse.__exit__(None, None, None)
        if self._ldap is not None and self._ldap.socket is not None:
            self._ldap.strategy.close()  # no unbind: there is nothing that its answer could change

    @property
    def certificate_ends_at(self) -> datetime:
        certificate = self._ldap.socket.getpeercert()
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)

    def bind(self, name: str, password: bytes) -> SearchAnswer:
        """A simple bind. The password is bytes: prepared as text (RFC 4513 section 5.1.1) it may come out empty.

        An empty name or password would be an anonymous bind, which succeeds with any server.
        """
        if not name or not password:
            raise ValueError("a bind needs a name and a password")
        with self._guarded():
            if self._ldap.closed:  # ldap3 would open it anew, without TLS
                raise Unreachable("ended the connection")
            self._ldap.rebind(name, password, authentication=ldap3.SIMPLE)
            answer = SearchAnswer(int(self._ldap.result["result"]), str(self._ldap.result["message"]))
        if answer.code in ELSEWHERE:
            raise Unreachable(f"is too busy ({self._ldap.result['description']})")
        return answer

    def search(
        self, criteria: str, attributes: Sequence[str], *, base: str | None = None, most: int = 2
    ) -> list[DirectoryEntry]:
        """Entries below `base` (default: that of the options) that match, at most `most`.

        Referrals are neither followed nor hits.
        """
        return self._search(criteria, attributes, base or self._options.base_dn, ldap3.SUBTREE, most)

    def about_itself(self, attribute: str) -> str:
        """What the server says about itself (RFC 4512 section 5.1), "" when it does not say."""
        found = self._search("(objectClass=*)", [attribute], "", ldap3.BASE, 1)
        return found[0].text(attribute) if found else ""

    def _search(
        self, criteria: str, attributes: Sequence[str], base: str, scope: str, most: int
    ) -> list[DirectoryEntry]:
        with self._guarded():
            self._ldap.search(
                base,
                criteria,
                search_scope=scope,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=list(attributes),
                size_limit=most,
            )
            result, rows = self._ldap.result, self._ldap.response or []
        self._judge(int(result["result"]), str(result["description"]), base)
        return [_entry(row) for row in rows if row["type"] == "searchResEntry"][:most]

    def _judge(self, code: int, description: str, base: str) -> None:
        if code in (SUCCESS, SIZE_LIMIT):
            return
        if code in ELSEWHERE:
            raise Unreachable(f"is too busy ({description})")
        if code == NO_SUCH_OBJECT:
            raise UpstreamFault(f"{self.address} has no entry {base}; is base_dn right, and may it be read?")
        if code == REFERRAL:
            raise UpstreamFault(
                f"{self.address} is not responsible for {base} and refers to another server; referrals are not followed."
            )
        who = self._options.bind_dn or "an anonymous client"
        raise UpstreamFault(f"{self.address} does not let {who} search below {base} ({description}).")

    def _open(self) -> None:
        candidates = self._vetted()
        tls = _Tls(self._options.tls_context, self.address.host, self._fuse)
        server = _Server(self.address, candidates, self._deadline - time.monotonic(), tls)
        self._ldap = ldap3.Connection(
            server, auto_bind=ldap3.AUTO_BIND_NONE, auto_referrals=False, read_only=True, check_names=False
        )
        with self._guarded(tls):
            self._ldap.open(read_server_info=False)
            self._fuse.watch(self._ldap.socket)
            self._ldap.socket.settimeout(max(0.05, self._deadline - time.monotonic()))
            if not self.address.tls and not self._ldap.start_tls(read_server_info=False):
                raise Unreachable("does not offer StartTLS")

    def _vetted(self) -> list[dial.Candidate]:
        host, port = self.address.host, self.address.port
        try:
            return dial.vetted(host, port, outbound.rules(), deadline=self._deadline)
        except dial.ForbiddenAddress as error:
            raise Unreachable(f"may not be asked: {error} (CURFEW_OUTBOUND_ALLOW)") from None
        except TimeoutError:
            raise Unreachable("did not resolve in time") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"does not resolve ({error})") from None

    @contextlib.contextmanager
    def _guarded(self, tls: _Tls | None = None) -> Iterator[None]:
        """Whatever the other side does to ldap3 and pyasn1 becomes a sentence."""
        try:
            yield
        except Unreachable:
            raise
        except Exception as error:  # malformed answers raise IndexError, TypeError, pyasn1's errors, ...
            raise Unreachable(self._reason(error, tls)) from error
        if self._fuse.blown:
            raise Unreachable("did not answer in time")

    def _reason(self, error: Exception, tls: _Tls | None) -> str:
        if self._fuse.blown or time.monotonic() >= self._deadline - 0.01:
            return "did not answer in time"
        if tls is not None and isinstance(tls.failure, ssl.SSLCertVerificationError):
            return f"has a certificate that is not trusted: {tls.failure.verify_message}"
        if tls is not None and tls.failure is not None:
            return f"does not speak TLS as expected ({tls.failure})"
        if tls is not None and isinstance(error, LDAPException):
            return f"cannot be reached ({error})"
        return f"broke off or said something that is not LDAP ({type(error).__name__})"


def _entry(row: Mapping[str, Any]) -> DirectoryEntry:
    raw = row["raw_attributes"]
    return DirectoryEntry(row["dn"], {name.partition(";")[0].lower(): list(values) for name, values in raw.items()})
