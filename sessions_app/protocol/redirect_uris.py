"""Which redirect URIs an authorization response may go to: exactly the registered strings (RFC 9700 section 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from idp.protocol.uris import SCRIPT_SCHEMES

_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?=/|\?|$)", re.ASCII)
_ODD = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}#]")


def is_registered(uri: str, registered: Iterable[str], *, native: bool = False) -> bool:
    """Byte for byte; for native applications the port of a loopback address may differ (RFC 8252 section 7.3)."""
    if not is_well_formed(uri):
        return False
    known = list(registered)
    if uri in known:
        return True
    return native and bool(_LOOPBACK.match(uri)) and _portless(uri) in {_portless(other) for other in known}


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
    match = _LOOPBACK.match(uri)
    if match is None:
        return uri
    return re.sub(r":\d{1,5}$", "", match.group()) + uri[match.end() :]
