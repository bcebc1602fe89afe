"""Strategy -> what is wrong with its options, and the test that asks the identity provider itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from idp.connections import email_trust, shared_signals
from idp.connections.checks import Finding
from idp.connections.dialects import SAML, dialect
from idp.connections.ldap import check as ldap_check
from idp.connections.ldap import options as ldap_options
from idp.connections.microsoft import wsfed
from idp.connections.oidc import check as oidc_check
from idp.connections.oidc import options as oidc_options
from idp.connections.options import KEYS
from idp.connections.saml import checks as saml_checks
from idp.connections.saml import options as saml_options
from idp.models import Connection, Strategy
from idp.people import passkeys
from idp.protocol import uris

LOGOUT_HINTS = ("id_token_hint", "client_id", "logout_hint", "none")
_OPTION = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")


def problems(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options: sentences, most of which begin with the option's name. Asks nobody."""
    return [
        *_of_protocol(strategy, options),
        *_of_every_strategy(strategy, options),
        *_of_logout(strategy, options),
        *shared_signals.problems(options),
    ]


def _of_protocol(strategy: str, options: Mapping[str, Any]) -> list[str]:
    if strategy == Strategy.DATABASE:
        return list(passkeys.problems(options))
    if strategy == Strategy.ACTIVE_DIRECTORY:
        return ldap_options.problems(strategy, options)
    if dialect(strategy, options) == SAML:
        return saml_options.problems(strategy, options)
    return oidc_options.problems(strategy, options)


def _of_every_strategy(strategy: str, options: Mapping[str, Any]) -> Iterator[str]:
    for name in ("domain_aliases", "signup_domains"):
        domains = options.get(name, [])
        for domain in domains if isinstance(domains, list) else [domains]:
            if not isinstance(domain, str) or "." not in domain or uris.check_host(domain):
                yield f"{name}: {domain} is no domain like fabrikamcorp.com"
    if reason := email_trust.problem(strategy, options):
        yield f"{email_trust.OPTION}: {reason}"


def _of_logout(strategy: str, options: Mapping[str, Any]) -> Iterator[str]:
    logout = options.get("logout", {})
    if not isinstance(logout, Mapping) or set(logout) - {"hint", "url"}:
        yield "logout: must be an object with hint and url"
        return
    hints = (*LOGOUT_HINTS, wsfed.HINT) if strategy == Strategy.ADFS else LOGOUT_HINTS
    if logout.get("hint", "none") not in hints:
        yield f"logout.hint: must be one of {', '.join(hints)}"
    if wsfed.is_chosen(options) and not wsfed.endpoint(options):
        yield "logout.url: is missing: where people sign out by WS-Federation, like https://adfs.example.com/adfs/ls/"
    if "url" in logout and (reason := uris.check_web_url(str(logout["url"]))):
        yield f"logout.url: {reason}"


def check(connection: Connection) -> list[Finding]:
    """Ask the identity provider upstream; takes up to ten seconds, signs nobody in. Empty where there is nobody to ask."""
    if connection.strategy == Strategy.DATABASE:
        return []
    if connection.strategy == Strategy.ACTIVE_DIRECTORY:
        return ldap_check.check(connection)
    if dialect(connection.strategy, connection.options) == SAML:
        return saml_checks.check(connection)
    return oidc_check.check(connection)


def split(strategy: str, problem: str) -> tuple[str, str]:
    """The option that a sentence of `problems` begins with, like `servers` or `logout.url` ("" for none), and the rest of it."""
    found = _OPTION.match(problem)
    name = found[0] if found else ""
    if name.partition(".")[0] not in KEYS[strategy]:
        return "", problem
    return name, problem.removeprefix(name).lstrip(": ")
