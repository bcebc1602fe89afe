"""What REDIS_URL says, for all that use Redis (`redis_clients.py`): the shared cache, Celery's broker and the bell.

    redis://[user:password@]host[:6379][/db]                                        rediss://… is the same over TLS
    sentinel://[user:password@]host[:26379],host2[:26379][/db]?service_name=…       sentinels://… is the same over TLS
    unix://[user:password@]/path/of/the/socket[?db=…]

TLS verifies the certificate and its name unless an option of the URL says otherwise, whoever connects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("redis", "rediss", "sentinel", "sentinels", "unix")
VERIFICATION = {"required": "required", "optional": "optional", "none": "none"}
VERIFICATION |= {f"CERT_{name.upper()}": name for name in VERIFICATION}  # as Celery's documentation writes them
YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}
TLS_OPTIONS = {"ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
ESCAPE = "in a password the characters : / ? # @ and % are written as %3A %2F %3F %23 %40 %25"
SENTINEL_OPTIONS = {"service_name", "sentinel_username", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where Redis is and how to get in."""

    hosts: tuple[tuple[str, int], ...] = ()  # one of Redis, or all of the Sentinels
    path: str = ""  # of a Unix socket
    service: str = ""  # the name by which the Sentinels know the master
    db: int = 0
    login: Mapping[str, str] = field(default_factory=dict)  # username and password, as far as given
    sentinel_login: Mapping[str, str] = field(default_factory=dict)  # the same, of the Sentinels
    tls: Mapping[str, Any] | None = None  # redis-py's ssl_… arguments; None: no TLS

    @property
    def name(self) -> str:
        """For people: without a password."""
        return self.path or ",".join(host_and_port(host) for host in self.hosts)


def parse(url: str) -> Place:
    """Raises ValueError with a sentence that holds no password."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"must begin with {', '.join(f'{scheme}://' for scheme in SCHEMES[:-1])} or unix://")
    is_unix, is_sentinel = parts.scheme == "unix", parts.scheme.startswith("sentinel")
    login, _, authority = parts.netloc.rpartition("@")
    # Hosts first: a password with a bare /, ? or # ends in no host, and what follows it must not be quoted.
    hosts = () if is_unix else _hosts(authority, 26379 if is_sentinel else 6379, several=is_sentinel)
    options = _options(parts)
    return Place(
        hosts=hosts,
        path=_path(parts) if is_unix else "",
        service=_service(options) if is_sentinel else "",
        db=_db(options.get("db", "" if is_unix else parts.path.strip("/"))),
        login=_login(*login.split(":", 1)),
        sentinel_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", ""), quoted=False),
        tls=_tls(options) if parts.scheme in ("rediss", "sentinels") else None,
    )


def _options(parts: SplitResult) -> dict[str, str]:
    known = {"db"}
    known |= TLS_OPTIONS if parts.scheme in ("rediss", "sentinels") else set()
    known |= SENTINEL_OPTIONS if parts.scheme.startswith("sentinel") else set()
    if parts.fragment:
        raise ValueError(f"has a #; {ESCAPE}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"has the option {unknown[0]}; those of {parts.scheme}:// are {', '.join(sorted(known))}")
    return options


def _hosts(text: str, port: int, *, several: bool) -> tuple[tuple[str, int], ...]:
    given = text.split(",")
    if len(given) > 1 and not several:
        raise ValueError("names more than one host, which only sentinel:// may")
    return tuple(_host(one, port) for one in given)


def _host(text: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        port = default if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"has no valid host and port; {ESCAPE}") from None
    if not parts.hostname or port == 0:
        raise ValueError(f"names no host; {ESCAPE}")
    return parts.hostname, port


def host_and_port(host: tuple[str, int]) -> str:
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _path(parts: SplitResult) -> str:
    if not parts.path.strip("/"):
        raise ValueError("names no socket: unix:///path/of/the/socket")
    return unquote(parts.path)


def _service(options: Mapping[str, str]) -> str:
    if not options.get("service_name"):
        raise ValueError("needs ?service_name=, the name by which the Sentinels know the master")
    return options["service_name"]


def _db(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError("names a database that is no number")
    return int(text or 0)


def _login(username: str, password: str = "", *, quoted: bool = True) -> dict[str, str]:
    given = {"username": username, "password": password}
    return {name: unquote(value) if quoted else value for name, value in given.items() if value}


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    verification = VERIFICATION.get(options.get("ssl_cert_reqs", "required"))
    if verification is None:
        raise ValueError("has an ssl_cert_reqs that is not required, optional or none")
    check_name = YES_OR_NO.get(options.get("ssl_check_hostname", "true").lower())
    if check_name is None:
        raise ValueError("has an ssl_check_hostname that is not true or false")
    files = {name: options[name] for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if options.get(name)}
    return {"ssl_cert_reqs": verification, "ssl_check_hostname": check_name and verification != "none", **files}
