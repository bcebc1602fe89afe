"""Which URLs an application may be configured with. Each `check_*` returns what is wrong in words, or None.

Used wherever configuration enters: the tenant file, the admin, registration, the Management API. URLs are kept and later
compared as the strings that they are, so what could be read in two ways is refused here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, urlsplit

LONGEST = 1000
# Ports of other protocols that take what an HTTP client sends for commands (the fetch standard's list, in short).
BAD_PORTS = frozenset(
    {1, 7, 9, 11, 13, 19, 20, 21, 22, 23, 25, 53, 69, 79, 110, 111, 119, 135, 137, 139, 143, 161, 389, 445, 465, 512}
    | {513, 514, 515, 587, 636, 993, 995, 1433, 1521, 2049, 2375, 3306, 5060, 5432, 6000, 6379, 9200, 11211, 27017}
)
# Schemes that run scripts or read files: no browser may ever be led there.
SCRIPT_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem"})
REFUSED_SCHEMES = SCRIPT_SCHEMES | {"ws", "wss", "ftp"}
# What RFC 3986 does not allow in a URI at all: controls, spaces, non-ASCII, and these.
_ODD = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}]")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_SOURCE = re.compile(r"https?://[a-z0-9._:\[\]-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain(parts: SplitResult) -> bool:
    """Whether the authority is a host and a port, and nothing of it was dropped: of `[::1].example.com` urlsplit() reads
    `::1` and goes on. An IPvFuture (RFC 3986 section 3.2.2), which nobody can dial, is none."""
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return parts.netloc.lower() == shown + port


def origin(url: str) -> str:
    """scheme://host[:port] as browsers write it into Origin; "" for what is not an http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def source(url: str) -> str:
    """What a Content-Security-Policy calls the place of `url` (CSP3 section 2.3.1): its origin, or the scheme of a native
    application; "" for what names no place, or would be more than one word of the header."""
    scheme = _SCHEME.match(url)
    if scheme is None or _ODD.search(url) or scheme[0].lower() in SCRIPT_SCHEMES:
        return ""
    if scheme[0].lower() not in ("http", "https"):
        return f"{scheme[0].lower()}:" if url[scheme.end() :].startswith(":") else ""
    found = origin(url)
    return found if _SOURCE.fullmatch(found) else ""


def check_web_url(url: str) -> str | None:
    """https, or http on loopback: logos, policies, key sets."""
    reason, parts = _read(url)
    return reason or (_web(parts) if parts else None)


def check_redirect_uri(uri: str, *, native: bool = False) -> str | None:
    """A callback: no fragment, no wildcard; native applications may use a scheme of their own (RFC 8252 section 7.1)."""
    reason, parts = _read_exact(uri)
    if reason or parts is None:
        return reason
    if parts.scheme not in ("http", "https"):
        return _own_scheme(parts, native)
    return _web(parts)


def check_logout_url(url: str, *, native: bool = False, wildcards: bool = False) -> str | None:
    """Where people may go after signing out; `wildcards` allows one * in the leftmost host label."""
    bare = url.replace("://*.", "://", 1) if wildcards else url
    reason = check_redirect_uri(bare, native=native)
    if reason:
        return reason
    if wildcards and bare != url and (urlsplit(bare).hostname or "").count(".") < 1:
        return "a wildcard needs at least two further labels, like https://*.example.com"
    names = {name for name, _ in parse_qsl(urlsplit(bare).query, keep_blank_values=True)}
    if clash := names & {"state", "iss"}:
        return f"the query must not hold {min(clash)}: we add it to the answer"
    return None


def check_backchannel_uri(uri: str) -> str | None:
    """Back-Channel Logout 1.0 section 2.2: absolute, no fragment; and no port of another protocol.

    Where we may send requests at all is `idp.outbound.policy`'s to say.
    """
    reason, parts = _read_exact(uri)
    if reason or parts is None:
        return reason
    if parts.scheme not in ("http", "https"):
        return "it must begin with https://"
    if not parts.hostname or check_host(parts.hostname):
        return "the host name cannot be read"
    if parts.port in BAD_PORTS:
        return f"port {parts.port} belongs to another protocol"
    return None


def check_frontchannel_uri(uri: str, redirect_uris: Iterable[str], *, issuer: str = "") -> str | None:
    """Front-Channel Logout 1.0 section 2: on the scheme, host and port of a callback; never on our own origin."""
    if reason := check_backchannel_uri(uri):
        return reason
    names = {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    if clash := names & {"iss", "sid"}:
        return f"the query must not hold {min(clash)}: we add it"
    if ";" in uri or "," in uri:
        return "semicolons and commas are not allowed"
    if issuer and origin(uri) == origin(issuer):
        return "it must not be on the identity provider's own origin"
    if issuer.startswith("https:") and not uri.startswith("https:"):
        return "browsers do not load http pages inside our https page"
    if origin(uri) not in {origin(redirect) for redirect in redirect_uris}:
        return "it must have the scheme, host and port of a callback URL"
    return None


def check_origin(value: str) -> str | None:
    """Exactly scheme://host[:port]: credentials are sent to it, so nothing looser will do."""
    if value in ("*", "null"):
        return "an exact origin is needed, like https://app.example.com"
    reason, parts = _read(value)
    if reason or parts is None:
        return reason
    if parts.path or "?" in value or "#" in value:
        return "an origin has no path: scheme, host and port only"
    if reason := _web(parts):
        return reason
    if origin(value) != value:
        return f"write it as browsers do: {origin(value)}"
    return None


def check_host(value: str) -> str | None:
    """A host name or an address, without port."""
    if _is_address(value) or (_HOST.fullmatch(value) and len(value) <= 253):
        return None
    return "a host name without scheme and port is needed"


def _is_address(host: str) -> bool:
    """Brackets are for IPv6 (RFC 3986 section 3.2.2); a zone means something on one machine only."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    return "%" not in bare and (bare == host or address.version == 6)


def _read(url: str) -> tuple[str | None, SplitResult | None]:
    """What is wrong with any absolute URI, or its parts."""
    if not url:
        return "it is empty", None
    if len(url) > LONGEST:
        return f"it is longer than {LONGEST} characters", None
    if _ODD.search(url):
        return "it holds a space, a control character or another character that URLs do not have", None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it cannot be read as a URL", None
    if not parts.scheme or not url.lower().startswith(f"{parts.scheme}:"):
        return "an absolute URL is needed, like https://app.example.com/path", None
    if parts.scheme in REFUSED_SCHEMES:
        return f"{parts.scheme}: is not allowed", None
    if "@" in parts.netloc:
        return "user names and passwords are not allowed", None
    if port == 0 or parts.netloc.endswith(":"):
        return "the port cannot be read", None
    if not is_plain(parts):
        return "the host name cannot be read", None
    return None, parts


def _read_exact(uri: str) -> tuple[str | None, SplitResult | None]:
    """The same for a URI that names one place: no fragment, no wildcard."""
    reason, parts = _read(uri)
    if reason is None and "#" in uri:
        return "a fragment (#) is not allowed", None
    if reason is None and "*" in uri:
        return "wildcards are not allowed", None
    return reason, parts


def _web(parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "it must begin with https://"
    host = parts.hostname or ""
    if not host or check_host(host):
        return "the host name cannot be read"
    if parts.scheme == "http" and not is_loopback(host):
        return "http is allowed on loopback only, use https"
    return None


def _own_scheme(parts: SplitResult, native: bool) -> str | None:
    if not native:
        return "it must begin with https://"
    if not _SCHEME.fullmatch(parts.scheme):
        return "the scheme cannot be read"
    return (
        None if "." in parts.scheme else "an application's own scheme is a reversed domain name, like com.example.app"
    )
