"""Strategy -> what is wrong with its options, and the test that asks the identity provider itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from idp.connections.checks import Finding
from idp.connections.ldap import check as ldap_check
from idp.connections.ldap import options as ldap_options
from idp.connections.oidc import options as oidc_options
from idp.connections.options import KEYS
from idp.connections.saml import options as saml_options
from idp.models import Connection, Strategy

_OPTION = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")


def speaks_saml(strategy: str, options: Mapping[str, Any]) -> bool:
    return strategy == Strategy.SAML or (strategy == Strategy.ADFS and options.get("protocol") == "samlp")


def problems(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options: sentences, most of which begin with the option's name. Asks nobody."""
    if strategy == Strategy.DATABASE:
        return []
    if strategy == Strategy.ACTIVE_DIRECTORY:
        return ldap_options.problems(strategy, options)
    if speaks_saml(strategy, options):
        return saml_options.problems(strategy, options)
    return oidc_options.problems(strategy, options)


def check(connection: Connection) -> list[Finding]:
    """Ask the identity provider upstream; takes up to ten seconds, signs nobody in. Empty where there is nobody to ask."""
    if connection.strategy == Strategy.ACTIVE_DIRECTORY:
        return ldap_check.check(connection)
    return []


def option_of(strategy: str, problem: str) -> str:
    """The option that a sentence of `problems` begins with, like `servers` or `logout.url`; "" where it begins with none."""
    found = _OPTION.match(problem)
    name = found[0] if found else ""
    return name if name.partition(".")[0] in KEYS[strategy] else ""
