"""Which redirect URIs an authorization response may go to: exactly the registered strings (RFC 9700 section 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from idp.protocol.uris import SCRIPT_SCHEMES

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(:\d{1,5})?(?=/|\?|$)", re.ASCII)
_ODD = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}#]")


def is_registered(uri: str, registered: Iterable[str], *, any_port: bool = False) -> bool:
    """Byte for byte; with `any_port`, which is for applications on the person's own machine, but for the port of a loopback
    address (RFC 8252 section 7.3).

    `localhost` may be another machine (section 8.3), and pages under development have it with the port that they use: there
    the port is free only if none was registered.
    """
    if not is_well_formed(uri):
        return False
    known = list(registered)
    return uri in known or (any_port and _portless(uri) in {_any_port(other) for other in known} - {""})


def is_well_formed(uri: str) -> bool:
    """No control characters, spaces, backslashes, fragment or user information; no scheme that runs scripts."""
    if not uri or len(uri) > 2000 or _ODD.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    if not parts.scheme or parts.scheme.lower() in SCRIPT_SCHEMES or "@" in parts.netloc:
        return False
    return bool(parts.netloc) if parts.scheme.lower() in ("http", "https") else True


def _portless(uri: str) -> str:
    """Without the port, if it is on loopback; the URI itself else."""
    match = _LOOPBACK.match(uri)
    return match[1] + uri[match.end() :] if match else uri


def _any_port(registered: str) -> str:
    """The URI without its port if that is free, "" else."""
    match = _LOOPBACK.match(registered)
    if match is None or (match[2] and match[1].endswith("localhost")):
        return ""
    return _portless(registered)
