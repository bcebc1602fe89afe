"""Where a browser may go after a logout: two endpoints, two algorithms.

`/v2/logout` compares as Auth0 does: scheme and host without case, port and path exactly, query and fragment not at all, and a `*`
in the leftmost host label if the application allows it. `/oidc/logout` compares the whole string (OpenID Connect
RP-Initiated Logout 1.0, section 3). Neither ever repairs what it was given: what a browser might read differently from
us (backslashes, userinfo, control characters, other scripts in the host) is refused before anything is compared.

At both, an application on the person's own machine listens on whatever port it gets (RFC 8252 section 7.3, `any_port`). Where
only a `localhost` with a port is registered it stays at that port, which pages under development have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from idp.protocol.uris import SCRIPT_SCHEMES

LONGEST = 4096

# RFC 3986's shape, narrowed: an ASCII host, a port of digits, and no character that ends or splits a header or URL.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9*](?:[A-Za-z0-9.*_-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\x00-\x20\x7f?#\\<>\"]*)?"
    r"(?:\?(?P<query>[^\x00-\x20\x7f#\\<>\"\ud800-\udfff]*))?"
    r"(?:#(?P<fragment>[^\x00-\x20\x7f\\<>\"\ud800-\udfff]*))?"
)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(:[0-9]{1,5})?(?=[/?#]|$)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True)
class ReturnTarget:
    """The parts of a URL that are compared."""

    scheme: str
    host: str
    port: str
    path: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}{':' + self.port if self.port else ''}"


def parse(url: str) -> ReturnTarget | None:
    """The parts of an absolute URL, or None if it is not one that we would ever follow."""
    if len(url) > LONGEST:
        return None
    found = _URL.fullmatch(url)
    if found is None or found["scheme"].lower() in SCRIPT_SCHEMES or ".." in found["host"]:
        return None
    return ReturnTarget(found["scheme"].lower(), found["host"].lower(), found["port"] or "", found["path"] or "/")


def is_safe(url: str) -> bool:
    """Absolute, of a scheme that runs no script, without characters that browsers or headers read their own way."""
    scheme = _SCHEME.match(url)
    if len(url) > LONGEST or scheme is None or _UNSAFE.search(url) or scheme[1].lower() in SCRIPT_SCHEMES:
        return False
    return parse(url) is not None if scheme[1].lower() in ("http", "https") else True


def matches_auth0(url: str, registered: Iterable[str], *, wildcards: bool = False, any_port: bool = False) -> bool:
    """Whether `/v2/logout` may lead there: query and fragment are not compared (Auth0: "not taken into account")."""
    target, known = parse(url), list(registered)
    if target is None or "*" in target.host:
        return False
    if any(_same(target, entry, wildcards) for entry in known):
        return True
    portless = parse(_portless(url)) if any_port else None
    return portless is not None and any(_same(portless, entry, False) for entry in _of_any_port(known))


def matches_exactly(url: str, registered: Iterable[str], *, any_port: bool = False) -> bool:
    """Whether `/oidc/logout` may lead there. "The value MUST have been previously registered" (section 3)."""
    if not is_safe(url):
        return False
    known = set(registered)
    return url in known or (any_port and _portless(url) in _of_any_port(known))


def first_usable(registered: Iterable[str]) -> str:
    """Where `/v2/logout` leads when no `returnTo` was given: the first registered URL that names one place."""
    return next((entry for entry in registered if "*" not in entry and parse(entry) is not None), "")


def with_state(url: str, state: str | None) -> str:
    """The URL with `state` added, percent-encoded; unchanged without one ("if included in the logout request")."""
    if state is None:
        return url
    base, hash_, fragment = url.partition("#")
    joint = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{joint}state={quote(state, safe='')}{hash_}{fragment}"


def _portless(url: str) -> str:
    """An address on loopback without its port; "" for every other."""
    found = _LOOPBACK.match(url)
    return found[1] + url[found.end() :] if found else ""


def _of_any_port(registered: Iterable[str]) -> set[str]:
    """Those that somebody on this machine may answer at any port, without theirs."""
    found = ((url, _LOOPBACK.match(url)) for url in registered)
    return {_portless(url) for url, match in found if match and not (match[2] and match[1].endswith("localhost"))}


def _same(target: ReturnTarget, entry: str, wildcards: bool) -> bool:
    wanted = parse(entry)
    if wanted is None or (target.scheme, target.port, target.path) != (wanted.scheme, wanted.port, wanted.path):
        return False
    if "*" not in wanted.host:
        return target.host == wanted.host
    return wildcards and _matches_wildcard(target, wanted)


def _matches_wildcard(target: ReturnTarget, wanted: ReturnTarget) -> bool:
    """One `*` in the leftmost label of at least three, standing for a part of that one label; http and https only."""
    label, dot, domain = wanted.host.partition(".")
    if target.scheme not in ("http", "https") or not dot or "." not in domain:
        return False
    if label.count("*") != 1 or "*" in domain:
        return False
    prefix, suffix = label.split("*")
    actual, _, actual_domain = target.host.partition(".")
    return (
        actual_domain == domain
        and len(actual) > len(prefix) + len(suffix)
        and actual.startswith(prefix)
        and actual.endswith(suffix)
    )
