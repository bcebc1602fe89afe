"""The rulebook of connections, said once for every entrance: the admin's form, the tenant file, programs.

An entrance fills a `Connection` that is not saved, asks `problems()`, and says them by its own names. Who may change what, and
where secrets may go, is `trust`, which looks at the stored connection too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from idp.connections import option_types, strategies
from idp.connections.options import KEYS, SECRETS
from idp.models import CONNECTION_NAME, Connection, Strategy
from idp.protocol import uris
from idp.protocol.text import storable

LONGEST_NAME = 128
LONGEST_TITLE = 255
LONGEST_SECRET = 20_000
RESERVED = frozenset({"metadata"})  # /samlp/metadata/{client id}


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """Something that a connection may not be: `field` is a column; of `options`, `option` is the path, like `logout.url`."""

    field: str
    reason: str
    option: str = ""

    def __str__(self) -> str:
        return f"{self.option}: {self.reason}" if self.option else self.reason


def problems(connection: Connection) -> Iterator[ConnectionProblem]:
    """Everything that the rules have against the connection as it is in memory. Asks nobody upstream."""
    if reason := name_problem(connection.name):
        yield ConnectionProblem("name", reason)
    title = connection.display_name
    if len(title) > LONGEST_TITLE or not title.isprintable():
        yield ConnectionProblem("display_name", f"must be printable text of at most {LONGEST_TITLE} characters")
    if connection.icon_url and (reason := uris.check_web_url(connection.icon_url)):
        yield ConnectionProblem("icon_url", reason)
    if connection.strategy not in Strategy.values:
        yield ConnectionProblem("strategy", f"must be one of {', '.join(Strategy.values)}")
        return
    yield from _options(connection)


def name_problem(name: str) -> str | None:
    if not name:
        return "is missing"
    if len(name) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    if name in RESERVED:
        return "is a part of an address of applications that speak SAML: choose another name"
    return None if CONNECTION_NAME.fullmatch(name) else "only letters, digits and single hyphens are allowed"


def secret_problem(strategy: str, option: str, secret: str) -> str | None:
    """What is wrong with a secret in clear, before it is sealed."""
    if option not in SECRETS & KEYS[strategy]:
        return "is not known here"
    if not secret:
        return "is empty"
    if len(secret) > LONGEST_SECRET:
        return f"is longer than {LONGEST_SECRET} characters"
    return storable.problem(secret)


def _options(connection: Connection) -> Iterator[ConnectionProblem]:
    """Their names and types; and if these are right, what the strategy says of them."""
    wrong = list(misshapen(connection))
    yield from wrong
    if not wrong:
        for sentence in strategies.problems(connection.strategy, connection.options):
            option, reason = strategies.split(connection.strategy, sentence)
            yield ConnectionProblem("options", reason, option)


def misshapen(connection: Connection) -> Iterator[ConnectionProblem]:
    """Options that do not exist, are of a wrong type, or hold what must not be kept in clear. People may still come through it."""
    known = KEYS[connection.strategy]
    for key, value in connection.options.items():
        if key not in known:
            yield ConnectionProblem("options", "is not known here", key)
        elif key in SECRETS:
            yield ConnectionProblem("options", "is a secret, which is kept apart and sealed", key)
        elif reason := option_types.problem(key, value):
            yield ConnectionProblem("options", reason, key)
