"""System checks: a bad configuration stops the start with a sentence that names it.

`check` (run by every command) finds what can never be right; `check --deploy` also what is wrong in production. All are
errors, so that both end with code 1.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, register

from idp import conf
from idp.crypto import kms
from idp.http.requests import plain
from idp.redis import health as redis_health
from idp.redis import url as redis_url

MIN_SECRET_LENGTH = 50
COUNTS = {
    *("WEB_WORKERS", "WEB_THREADS", "PER_APP_IN_FLIGHT", "IN_FLIGHT", "DELIVERY_TIMEOUT", "DELIVERY_MAX_AGE"),
    *("DATABASE_LOCK_TIMEOUT", "DATABASE_STATEMENT_TIMEOUT", "JWKS_MAX_AGE", "SIGNING_KEY_DAYS"),
}
PRIVATE_CACHES = ("locmem.LocMemCache", "dummy.DummyCache")
GATES = ("TOKEN_STORAGE", "PKCE_REQUIRED", "PKCE_METHOD", "REDIRECT_URI_MATCHING", "IMPLICIT_GRANT", "PASSWORD_GRANT")


@register(Tags.security)
def check_values(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Settings from the environment that cannot be read as what they are."""
    return [
        *_networks("CURFEW_TRUSTED_PROXIES", settings.TRUSTED_PROXIES, "idp.E001"),
        *_networks("CURFEW_ADMIN_NETWORKS", settings.ADMIN_NETWORKS, "idp.E006"),
        *_networks("CURFEW_OUTBOUND_ALLOW", settings.OUTBOUND_ALLOW, "idp.E002"),
        *_ports(settings.OUTBOUND_PORTS),
        *_counts(),
        *_log_level(),
        *_kms(),
    ]


@register(Tags.security)
def check_seams(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Settings that our code stands on."""
    found: list[CheckMessage] = []
    oauth: Mapping[str, object] = settings.OAUTH2_PROVIDER
    if settings.PASSWORD_HASHERS[0] == "idp.people.hashers.ClientSecretHasher":
        found.append(Error("PASSWORD_HASHERS begins with the hasher of client secrets.", id="idp.E010"))
    if oauth.get("CLIENT_SECRET_HASHER") != "client_sha256" or (
        "idp.people.hashers.ClientSecretHasher" not in settings.PASSWORD_HASHERS
    ):
        found.append(Error("Client secrets need CLIENT_SECRET_HASHER client_sha256 and its hasher.", id="idp.E011"))
    found += [
        Error(f"OAUTH2_PROVIDER: COMPLIANT_BCP_RFC9700_{gate} must be on.", id="idp.E012")
        for gate in GATES
        if oauth.get(f"COMPLIANT_BCP_RFC9700_{gate}") is not True
    ]
    if str(settings.CACHES["default"]["BACKEND"]).endswith(PRIVATE_CACHES):
        found.append(
            Error("CACHES is not shared by all processes: a one-time code could be used twice.", id="idp.E013")
        )
    if settings.CELERY_ACCEPT_CONTENT != ["json"] or settings.CELERY_TASK_SERIALIZER != "json":
        found.append(Error("Celery must take JSON only.", id="idp.E014"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Error("ALLOWED_HOSTS must not contain '*'.", id="idp.E015"))
    return found


@register(Tags.security, deploy=True)
def check_production(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What a laptop may do and a server may not."""
    return [
        *_transport(),
        *_proxies(),
        *_secrets(),
        *_outbound(),
        *_redis(settings.REDIS_URL),
        *_eviction(settings.REDIS_URL),
        *_policy(settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]),
        *_mail(),
    ]


def _networks(name: str, values: Iterable[str], code: str) -> Iterator[Error]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            yield Error(f"{name}: {error}.", hint="Comma separated CIDRs, like 10.0.0.0/8,::1/128.", id=code)


def _ports(values: Iterable[str]) -> Iterator[Error]:
    for value in values:
        first, _, last = value.partition("-")
        ends = (first, last or first)
        if not all(end.isdecimal() and 0 < int(end) < 65536 for end in ends) or int(ends[0]) > int(ends[1]):
            yield Error(f"CURFEW_OUTBOUND_PORTS: {value!r} is no port and no range of ports.", id="idp.E003")


def _counts() -> Iterator[Error]:
    for name in sorted(COUNTS):
        if getattr(settings, name) < 1:
            yield Error(f"CURFEW_{name} must be at least 1.", id="idp.E004")


def _log_level() -> Iterator[Error]:
    if settings.LOG_LEVEL not in logging.getLevelNamesMapping():
        yield Error(f"CURFEW_LOG_LEVEL: {settings.LOG_LEVEL!r} is no log level.", id="idp.E005")


def _kms() -> Iterator[Error]:
    if any(key.startswith(kms.PREFIX) for key in settings.ENCRYPTION_KEYS) and not settings.KMS_COMMAND.strip():
        yield Error("CURFEW_ENCRYPTION_KEYS has a wrapped key, and CURFEW_KMS_COMMAND is empty.", id="idp.E007")


def _transport() -> Iterator[Error]:
    if not settings.HTTPS:
        yield Error(f"ISSUER {settings.ISSUER} is http: people must not send passwords over it.", id="idp.E020")
    names = (settings.SSO_COOKIE_NAME, settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    for name in names:
        if not name.startswith("__Host-"):
            yield Error(f"The cookie {name} must have the prefix __Host-.", id="idp.E021")
    if not settings.SESSION_COOKIE_SECURE or not settings.CSRF_COOKIE_SECURE:
        yield Error("SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE must be on.", id="idp.E022")
    if settings.SECURE_HSTS_SECONDS < 31536000 and settings.HSTS != "off":
        yield Error(
            "HSTS must be sent for a year.", hint="CURFEW_HSTS=off if the reverse proxy sends it.", id="idp.E023"
        )
    if settings.DEBUG:
        yield Error("DEBUG is on.", id="idp.E024")


def _proxies() -> Iterator[Error]:
    values = settings.TRUSTED_PROXIES
    if not values:
        yield Error(
            "CURFEW_TRUSTED_PROXIES is empty: nobody says that a request came over TLS, and all people have one address.",
            hint="The CIDRs of the reverse proxy that ends TLS.",
            id="idp.E025",
        )
    if any(_is_everybody(value) for value in values):
        yield Error(
            "CURFEW_TRUSTED_PROXIES believes everybody: an address that a client makes up escapes the limits on guessing.",
            hint="Name the addresses of the reverse proxy only.",
            id="idp.E026",
        )


def _is_everybody(cidr: str) -> bool:
    try:
        return plain(ipaddress.ip_network(cidr)).prefixlen == 0
    except ValueError:  # said by another check
        return False


def _secrets() -> Iterator[Error]:
    key = settings.SECRET_KEY
    if len(key) < MIN_SECRET_LENGTH or len(set(key)) < 5 or key.startswith("django-insecure-"):
        yield Error(f"SECRET_KEY is weak: use at least {MIN_SECRET_LENGTH} random characters.", id="idp.E030")
    if not settings.ENCRYPTION_KEYS:
        yield Error("CURFEW_ENCRYPTION_KEYS is empty: secrets at rest need a key of their own.", id="idp.E031")
    if any(len(entry) < kms.SHORTEST_KEY for entry in settings.ENCRYPTION_KEYS if not entry.startswith(kms.PREFIX)):
        yield Error(
            f"CURFEW_ENCRYPTION_KEYS has a key of fewer than {kms.SHORTEST_KEY} characters.",
            hint="manage.py new_encryption_key makes one. An old one stays behind it until manage.py reseal.",
            id="idp.E034",
        )
    for setting in conf.SETTINGS:
        path = conf.secret_file(setting)
        if path is not None and path.exists() and path.stat().st_mode & 0o007:
            yield Error(f"{setting.name}_FILE: {path} can be read by everybody.", hint="chmod 600", id="idp.E032")
    kept = Path(settings.DATA) / "secret_key"
    if kept.exists() and kept.stat().st_mode & 0o077:
        yield Error(f"{kept} can be read by others.", hint="chmod 600", id="idp.E033")


def _mail() -> Iterator[Error]:
    if settings.EMAIL_BACKEND.endswith(("console.EmailBackend", "console_mail.EmailBackend", "dummy.EmailBackend")):
        yield Error(
            "CURFEW_EMAIL_URL: mail reaches nobody, and links to new passwords stand in the log.",
            hint="smtp+tls://user:password@host:587",
            id="idp.E070",
        )


def _outbound() -> Iterator[Error]:
    for value in settings.OUTBOUND_ALLOW:
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            continue  # idp.E002 names it
        if network.prefixlen < 8 or network.is_loopback or network.is_link_local:
            yield Error(
                f"CURFEW_OUTBOUND_ALLOW: {value} opens this machine, its cloud's metadata or whole networks.",
                hint="Name the networks of the applications only.",
                id="idp.E040",
            )


def _redis(url: str) -> Iterator[Error]:
    place = redis_url.parse(url) if url else None
    if place is not None and place.hosts and "password" not in place.login:
        yield Error("REDIS_URL has no password: whoever reaches the port can give orders to the worker.", id="idp.E050")


def _eviction(url: str) -> Iterator[CheckMessage]:
    """An answer that cannot be had is no error: images are built where no Redis is, and managed ones may not tell."""
    if not url:
        return
    try:
        policy = redis_health.eviction()
    except (redis.RedisError, OSError, ValueError) as error:
        yield Info(f"REDIS_URL: Redis cannot be asked whether it may throw keys away: {error}.", id="idp.I052")
        return
    if not policy:
        yield Info("REDIS_URL: Redis does not say whether it may throw keys away; it must not.", id="idp.I051")
    elif policy != redis_health.KEEPS_ALL:
        yield Error(
            f"REDIS_URL: when its memory is full this Redis throws keys away ({policy}): queued work, used one-time codes.",
            hint="CONFIG SET maxmemory-policy noeviction",
            id="idp.E051",
        )


def _policy(directives: Mapping[str, Iterable[str]]) -> Iterator[Error]:
    for name, sources in directives.items():
        if {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(sources):
            yield Error(f"Content-Security-Policy {name} is open.", id="idp.E060")
