"""A directory as a whole: its servers in the order of the options, those that failed left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from idp.connections.contract import UpstreamFault
from idp.connections.ldap.conversation import SUCCESS, Conversation, Unreachable
from idp.connections.ldap.options import LdapOptions, ServerAddress, read
from idp.connections.options import secret
from idp.connections.places import turn
from idp.models import Connection

log = structlog.get_logger(__name__)

LIMIT = 5.0  # seconds for everything: all servers, name resolution, TLS, search and bind
COOL_DOWN = 15.0  # seconds for which a server that failed is not asked

T = TypeVar("T")


class _CoolDowns:
    """Which servers failed a moment ago, in this process. Other options of the connection are another server."""

    def __init__(self) -> None:
        self._until: dict[tuple[LdapOptions, ServerAddress], float] = {}
        self._lock = threading.Lock()
        self._probing: set[LdapOptions] = set()

    def begin(self, options: LdapOptions, server: ServerAddress) -> None:
        now = time.monotonic()
        with self._lock:
            self._until = {key: until for key, until in self._until.items() if until > now}
            self._until[options, server] = now + COOL_DOWN

    def end(self, options: LdapOptions, server: ServerAddress) -> None:
        with self._lock:
            self._until.pop((options, server), None)

    @contextmanager
    def candidates(self, options: LdapOptions) -> Iterator[tuple[ServerAddress, ...]]:
        """The servers to ask now. When all of them cool down, one sign-in at a time tries them again; others get none."""
        now = time.monotonic()
        with self._lock:
            warm = tuple(server for server in options.servers if self._until.get((options, server), 0.0) <= now)
            probe = not warm and options not in self._probing
            if probe:
                self._probing.add(options)
        try:
            yield options.servers if probe else warm
        finally:
            if probe:
                with self._lock:
                    self._probing.discard(options)


_cool_downs = _CoolDowns()


def options_of(connection: Connection) -> LdapOptions:
    """Raises UpstreamFault with the first problem of the options."""
    try:
        return read(connection.options)
    except ValueError as error:
        raise UpstreamFault(f"The connection {connection.name} is not configured: {error}") from None


def ask(connection: Connection, question: Callable[[Conversation], T], *, limit: float = LIMIT) -> T:
    """The answer of the first server that gives one, asked in the name of the service account.

    Raises UpstreamFault after `limit` seconds at the latest, TemporarilyUnavailable when too many are asking.
    """
    options = options_of(connection)
    password = secret(connection, "bind_password").encode()
    deadline = time.monotonic() + limit
    with turn(), _cool_downs.candidates(options) as servers:
        reasons = [] if servers else ["none of its servers answered a moment ago"]
        for index, server in enumerate(servers):
            share = (deadline - time.monotonic()) / (len(servers) - index)
            try:
                with Conversation(server, options, deadline=time.monotonic() + share) as conversation:
                    introduce(conversation, options, password)
                    answer = question(conversation)
            except Unreachable as error:
                reasons.append(f"{server} {error}")
                _cool_downs.begin(options, server)
                log.warning("ldap.unreachable", connection=connection.name, server=str(server), reason=str(error))
                continue
            _cool_downs.end(options, server)
            return answer
    raise UpstreamFault(f"The directory of {connection.name} does not answer: {'; '.join(reasons)}.")


def introduce(conversation: Conversation, options: LdapOptions, password: bytes) -> None:
    """Bind as the service account, if there is one. Raises UpstreamFault when it is refused."""
    if not options.bind_dn:
        return
    if not password:
        raise UpstreamFault(f"bind_password is missing for {options.bind_dn}.")
    answer = conversation.bind(options.bind_dn, password)
    if answer.code != SUCCESS:
        said = f" ({answer.diagnostic})" if answer.diagnostic else ""
        raise UpstreamFault(f"{conversation.address} refuses the service account {options.bind_dn}{said}.")
