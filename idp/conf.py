"""Every setting that the environment may give, in one table: name, default, meaning. `idp/settings.py` reads it; docs and tests too.

A name ending in `_FILE` gives the path of a file that holds the value, for every setting marked secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from idp.outbound.proxy import Proxy, proxy_of
from idp.protocol.uris import is_loopback
from idp.redis import url as redis_url

Hsts = Literal["off", "host", "subdomains", "preload"]
SameSite = Literal["Lax", "Strict", "None"]


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ISSUER",
        "http://localhost:$PORT/",
        "Public URL of this identity provider, at a host's root, with trailing slash. http on loopback only.",
    ),
    Setting("PORT", "8000", "Port of the web server."),
    Setting(
        "SECRET_KEY",
        "",
        "Django's secret key. Required with an https issuer; generated and kept under CURFEW_DATA otherwise.",
        secret=True,
    ),
    Setting(
        "DATABASE_URL",
        "sqlite:///$CURFEW_DATA/curfew.sqlite3",
        "Database, e.g. postgres://user:password@host/name; with ?prepare_threshold=None behind a pooler that knows no "
        "prepared statements.",
        secret=True,
    ),
    Setting(
        "DATABASE_REPLICA_URL",
        "",
        "A standby of that PostgreSQL, from which [lists of administrators](operations.md#a-standby-for-lists) are read. "
        "Empty: none.",
        secret=True,
    ),
    Setting(
        "CURFEW_DATABASE_LOCK_TIMEOUT",
        "2",
        "Seconds that a request waits for what another transaction holds; then it is 503 and nothing was done.",
    ),
    Setting(
        "CURFEW_DATABASE_STATEMENT_TIMEOUT",
        "4",
        "Seconds that a request waits for one statement, also where PostgreSQL says nothing at all; then it is 503.",
    ),
    Setting(
        "CURFEW_DATABASE_SESSION_SETTINGS",
        "1",
        "0: connections begin without SET, for a pooler that hands them out by transaction; give the role these settings.",
    ),
    Setting(
        "REDIS_URL",
        "",
        "Redis: Celery's broker, the bell and the shared cache. Empty: all of these on disk and in the database. "
        "[Forms](#redis): redis://, rediss:// (TLS), sentinel://, sentinels://, unix://.",
        secret=True,
    ),
    Setting("CURFEW_DATA", "var", "Folder of everything that an embedded installation keeps."),
    Setting("CURFEW_DEMO", "1", "0: `make run` starts without demo data and demo applications."),
    Setting("CURFEW_BIND", "127.0.0.1", "Address that the web server listens on."),
    Setting("CURFEW_WEB_WORKERS", "2", "Web server processes: best one for each core."),
    Setting("CURFEW_WEB_THREADS", "4", "Threads of each web server process."),
    Setting("CURFEW_ALLOWED_HOSTS", "", "Further host names to answer, comma separated (load balancer probes)."),
    Setting(
        "CURFEW_TRUSTED_PROXIES",
        "",
        "CIDRs of reverse proxies whose word about clients is believed. Empty: nobody's is.",
    ),
    Setting(
        "CURFEW_FORWARDED_HEADER",
        "X-Forwarded-For",
        "Header in which those proxies name the client: X-Forwarded-For (with X-Forwarded-Proto) or Forwarded (RFC 7239).",
    ),
    Setting(
        "CURFEW_ADMIN_NETWORKS", "", "CIDRs that may open `/admin/`; for everybody else it is 404. Empty: everywhere."
    ),
    Setting(
        "CURFEW_ENCRYPTION_KEYS",
        "",
        "Keys that [seal secrets at rest](keys.md#keys-that-seal), comma separated; the first seals, all unseal. Empty: derived from "
        "SECRET_KEY.",
        secret=True,
    ),
    Setting(
        "CURFEW_KMS_COMMAND",
        "",
        "Command that wraps and unwraps those keys that begin with kms:, by a [key management service](keys.md#kept-by-a-kms).",
    ),
    Setting(
        "CURFEW_JWKS_MAX_AGE",
        "600",
        "Seconds for which others may keep the published signing keys; a new key is published for twice as long before it signs.",
    ),
    Setting("CURFEW_SIGNING_KEY_DAYS", "90", "Days for which a signing key signs before its successor is published."),
    Setting(
        "CURFEW_OUTBOUND_ALLOW",
        "",
        "CIDRs that the outbound guard lets through although they are private, comma separated.",
    ),
    Setting("CURFEW_OUTBOUND_PORTS", "80,443,8080,8443,1024-65535", "Ports that outbound requests may go to."),
    Setting(
        "CURFEW_OUTBOUND_PROXY",
        "",
        "HTTP proxy that [https requests](operations.md#proxy) to applications and upstreams go through, e.g. "
        "http://user:password@proxy.example.com:3128. HTTPS_PROXY is not read.",
        secret=True,
    ),
    Setting(
        "CURFEW_OUTBOUND_PROXY_RESOLVES",
        "0",
        "1: the proxy is given names, and must itself refuse private networks. 0: names are resolved and judged here.",
    ),
    Setting(
        "CURFEW_OUTBOUND_NO_PROXY",
        "",
        "Hosts that are reached without the proxy, those below them too, and CIDRs of addresses in URLs, comma separated.",
    ),
    Setting(
        "CURFEW_COOKIE_SAMESITE", "", "SameSite of the session cookie. Empty: None with an https issuer, Lax with http."
    ),
    Setting(
        "CURFEW_HSTS",
        "host",
        "Whom browsers reach over https only, for a year: host (the issuer's), subdomains (those of the issuer's host too), preload "
        "(the same, and browsers may build it in: hard to take back) or off (the reverse proxy says it).",
    ),
    Setting(
        "CURFEW_CSP_REPORTS",
        "1",
        "Where browsers [report](operations.md#what-browsers-report) what the Content-Security-Policy of a page forbade: 1: here, 0: nowhere, "
        "or the https URL of a collector of yours.",
    ),
    Setting("CURFEW_PER_APP_IN_FLIGHT", "20", "Deliveries in flight to one application, per worker process."),
    Setting("CURFEW_IN_FLIGHT", "400", "Deliveries in flight, per worker process."),
    Setting("CURFEW_DELIVERY_TIMEOUT", "5", "Seconds of wall-clock time for one delivery attempt."),
    Setting("CURFEW_DELIVERY_MAX_AGE", "86400", "Seconds after which an undelivered row is given up."),
    Setting(
        "CURFEW_METRICS_TOKEN", "", "Bearer token that /metrics asks for. Empty: loopback clients only.", secret=True
    ),
    Setting(
        "CURFEW_EMAIL_URL", "consolemail://", "Where mail goes, e.g. smtp+tls://user:password@host:587.", secret=True
    ),
    Setting("CURFEW_FROM_EMAIL", "curfew@localhost", "Sender of mail."),
    Setting(
        "CURFEW_TRACE_DELIVERIES",
        "0",
        "1: what the worker posts to applications carries a traceparent, where there are [traces](operations.md#traces).",
    ),
    Setting("CURFEW_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR."),
    Setting("CURFEW_FAILPOINT", "", "Tests only: where a process ends itself. Refused with an https issuer."),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def read(name: str) -> str:
    """The value of one setting: the variable, else the file that `{name}_FILE` names, else the default."""
    setting = BY_NAME[name]
    if name in os.environ:
        return os.environ[name]
    if path := secret_file(setting):
        try:
            return path.read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: {error}") from error
    return setting.default


def secret_file(setting: Setting) -> Path | None:
    path = os.environ.get(f"{setting.name}_FILE") if setting.secret else None
    return Path(path) if path else None


def read_int(name: str) -> int:
    try:
        return int(read(name))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {read(name)!r}.") from None


def read_list(name: str) -> list[str]:
    return [part.strip() for part in read(name).split(",") if part.strip()]


def read_choice(name: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, as it is written there; case does not count."""
    value = read(name)
    for choice in choices:
        if value.lower() == choice.lower():
            return choice
    raise ImproperlyConfigured(f"{name} must be {' or '.join(choices)}, not {value!r}.")


def read_samesite(*, production: bool) -> SameSite:
    value = read("CURFEW_COOKIE_SAMESITE") or ("None" if production else "Lax")
    for known in get_args(SameSite):
        if value == known:
            return cast(SameSite, value)
    raise ImproperlyConfigured(f"CURFEW_COOKIE_SAMESITE must be None, Lax or Strict, not {value!r}.")


def read_hsts() -> Hsts:
    value = read("CURFEW_HSTS")
    for known in get_args(Hsts):
        if value == known:
            return cast(Hsts, value)
    raise ImproperlyConfigured(f"CURFEW_HSTS must be off, host, subdomains or preload, not {value!r}.")


# A pod is told of the services beside it, which may be called `curfew` and `curfew-web`.
_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)=|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=|_PORT=\w+://")


def refuse_unknown() -> None:
    """A misspelt CURFEW_... variable must not be ignored silently."""
    known = {name for s in SETTINGS for name in (s.name, f"{s.name}_FILE" if s.secret else s.name)}
    given = {name: value for name, value in os.environ.items() if name.startswith("CURFEW_") and name not in known}
    unknown = sorted(name for name, value in given.items() if not _OF_KUBERNETES.search(f"{name}={value}"))
    if unknown:
        raise ImproperlyConfigured(f"Unknown settings: {', '.join(unknown)}. docs/settings.md lists all.")


def read_issuer() -> str:
    """The issuer, refused unless it is https (or http on loopback), at the root of a host, with a trailing slash."""
    issuer = read("ISSUER").replace("$PORT", read("PORT"))
    parts = urlsplit(issuer)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImproperlyConfigured(f"ISSUER must be an http(s) URL, not {issuer!r}.")
    if parts.path != "/" or parts.query or parts.fragment or parts.username:
        raise ImproperlyConfigured(
            f"ISSUER must be a host's root with a trailing slash, like https://id.example.com/, not {issuer!r}."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ImproperlyConfigured(f"ISSUER {issuer!r} is http: allowed on loopback only, use https.")
    return issuer


def read_csp_reports() -> str:
    """The address that pages name, "" for none; ours is a path."""
    value = read("CURFEW_CSP_REPORTS")
    if value in ("0", "1"):
        return "/csp-reports" if value == "1" else ""
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or re.search(r"[\s;,\"\\]", value):
        raise ImproperlyConfigured(f"CURFEW_CSP_REPORTS must be 0, 1 or an https URL, not {value!r}.")
    return value


def read_outbound_proxy() -> Proxy | None:
    resolves = read("CURFEW_OUTBOUND_PROXY_RESOLVES")
    if resolves not in ("0", "1"):
        raise ImproperlyConfigured(f"CURFEW_OUTBOUND_PROXY_RESOLVES must be 0 or 1, not {resolves!r}.")
    try:
        return proxy_of(
            url=read("CURFEW_OUTBOUND_PROXY"), resolves=resolves == "1", direct=read_list("CURFEW_OUTBOUND_NO_PROXY")
        )
    except ValueError as error:
        raise ImproperlyConfigured(f"CURFEW_OUTBOUND_PROXY {error}.") from None


def read_redis_url() -> str:
    url = read("REDIS_URL")
    try:
        if url:
            redis_url.parse(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"REDIS_URL {error}.") from None
    return url


def read_secret_key(*, production: bool, data: Path) -> str:
    """SECRET_KEY; on a loopback http issuer it is made at first start and kept in CURFEW_DATA."""
    if key := read("SECRET_KEY"):
        return key
    if production:
        raise ImproperlyConfigured("SECRET_KEY (or SECRET_KEY_FILE) is required when ISSUER is https.")
    return kept_secret(data / "secret_key")


def kept_secret(path: Path) -> str:
    """Read a secret, or make one; of two processes that start together the first wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # which nobody else may read
            file.write(secrets.token_urlsafe(48))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)  # whole or not at all: the others read it at once
    return path.read_text()
