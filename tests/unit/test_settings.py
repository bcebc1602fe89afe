"""Settings from the environment: what stops a start, what the deploy check says, what is never right."""

from __future__ import annotations

import os
import runpy
import secrets
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings as settings_now
from django.core.checks import WARNING, CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from tests.support.nursery import run_in_bare

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
BOUND_ONCE = {
    "INSTALLED_APPS",
    "DATABASES",
    "LOGGING",
}  # what a running Django cannot change; no check of ours reads them


def production(tmp_path: Path, **changes: str) -> dict[str, str]:
    """The environment of a good production installation, with changes."""
    (tmp_path / "data" / "static").mkdir(parents=True, exist_ok=True)  # whitenoise warns without it
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    good = {
        "ISSUER": "https://id.example.com/",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CURFEW_ENCRYPTION_KEYS": secrets.token_urlsafe(32),
        "CURFEW_DATA": str(tmp_path / "data"),
        "DATABASE_URL": "postgres://curfew:secret@db.example.com/curfew",
        "REDIS_URL": "redis://:secret@redis.example.com:6379/0",
        "CURFEW_TRUSTED_PROXIES": "10.0.0.0/8",
        "CURFEW_OUTBOUND_ALLOW": "10.20.0.0/16",
        "CURFEW_EMAIL_URL": "smtp+tls://curfew:secret@mail.example.com:587",
    }
    return {name: value for name, value in {**kept, **good, **changes}.items() if value != "unset"}


def read(env: dict[str, str]) -> dict[str, object]:
    """What `idp/settings.py` makes of an environment, without a process of its own."""
    with mock.patch.dict(os.environ, env, clear=True):
        found = runpy.run_path(str(ROOT / "idp" / "settings.py"))
    return {name: value for name, value in found.items() if name.isupper()}


def applied(env: dict[str, str]) -> override_settings:
    return override_settings(
        **{
            name: value
            for name, value in read(env).items()
            if name not in BOUND_ONCE and value != getattr(settings_now, name, None)
        }
    )


def deploy_check(env: dict[str, str]) -> list[str]:
    """What `manage.py check --deploy --fail-level WARNING` would fail for."""
    with applied(env):
        return [str(each) for each in run_checks(include_deployment_checks=True) if failing(each)]


def failing(message: CheckMessage) -> bool:
    return message.level >= WARNING and not message.is_silenced()


def test_production_settings_pass_the_deploy_check(tmp_path: Path) -> None:
    assert deploy_check(production(tmp_path)) == []


def test_the_command_passes_what_is_good_and_fails_for_what_is_not(tmp_path: Path) -> None:
    command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    good = run_in_bare(command, production(tmp_path))
    assert good.returncode == 0, good.stderr
    bad = run_in_bare(command, production(tmp_path, CURFEW_EMAIL_URL="unset"))
    assert (bad.returncode, "CURFEW_EMAIL_URL" in bad.stderr) == (1, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ISSUER": "http://localhost:8000/"}, "ISSUER"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"CURFEW_ENCRYPTION_KEYS": "unset"}, "CURFEW_ENCRYPTION_KEYS"),
        ({"CURFEW_ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"CURFEW_OUTBOUND_ALLOW": "0.0.0.0/0"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_OUTBOUND_ALLOW": "intranet"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_TRUSTED_PROXIES": "10.0.0.1/8"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "unset"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "10.0.0.0/8,::/0"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "::ffff:0:0/96"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_ADMIN_NETWORKS": "office"}, "CURFEW_ADMIN_NETWORKS"),
        ({"CURFEW_OUTBOUND_PORTS": "443-80"}, "CURFEW_OUTBOUND_PORTS"),
        ({"CURFEW_WEB_THREADS": "0"}, "CURFEW_WEB_THREADS"),
        ({"REDIS_URL": "redis://redis.example.com:6379/0"}, "REDIS_URL"),
        ({"CURFEW_EMAIL_URL": "unset"}, "CURFEW_EMAIL_URL"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None,
)
def test_the_deploy_check_fails_and_names_the_bad_setting(tmp_path: Path, change: dict[str, str], named: str) -> None:
    assert any(named in said for said in deploy_check(production(tmp_path, **change)))


def test_a_secret_file_that_everybody_reads_fails_the_deploy_check(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(secrets.token_urlsafe(48))
    path.chmod(0o644)
    environment = production(tmp_path, SECRET_KEY="unset", SECRET_KEY_FILE=str(path))
    with mock.patch.dict(os.environ, environment, clear=True):
        assert any("SECRET_KEY_FILE" in said for said in deploy_check(environment))
        path.chmod(0o600)
        assert deploy_check(environment) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CURFEW_DELIVERY_TIMOUT": "9"}, "CURFEW_DELIVERY_TIMOUT"),
        ({"SECRET_KEY": "unset"}, "SECRET_KEY"),
        ({"ISSUER": "http://id.example.com/"}, "ISSUER"),
        ({"ISSUER": "https://id.example.com"}, "ISSUER"),
        ({"ISSUER": "https://id.example.com/login/"}, "ISSUER"),
        ({"PORT": "eighty"}, "PORT"),
        ({"CURFEW_COOKIE_SAMESITE": "lax"}, "CURFEW_COOKIE_SAMESITE"),
        ({"CURFEW_HSTS": "on"}, "CURFEW_HSTS"),
        ({"REDIS_URL": "sentinel://:secret@a,b"}, "REDIS_URL"),
        ({"CURFEW_FAILPOINT": "somewhere"}, "CURFEW_FAILPOINT"),
        ({"SECRET_KEY": "unset", "SECRET_KEY_FILE": "no-such-file"}, "SECRET_KEY_FILE"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_start_with_a_bad_setting_stops_and_names_it(tmp_path: Path, change: dict[str, str], named: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=named):
        read(production(tmp_path, **change))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("unset", "max-age=31536000"),
        ("subdomains", "max-age=31536000; includeSubDomains"),
        ("preload", "max-age=31536000; includeSubDomains; preload"),
        ("off", None),
    ],
)
def test_browsers_are_told_of_https_for_as_many_hosts_as_the_operator_says(tmp_path: Path, value, sent) -> None:
    """The issuer may be an apex whose other hosts are not ready for it."""
    with applied(production(tmp_path, CURFEW_HSTS=value)):
        answer = Client().get("/livez", secure=True, headers={"host": "id.example.com"})
    assert answer.headers.get("Strict-Transport-Security") == sent
    assert deploy_check(production(tmp_path, CURFEW_HSTS=value)) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.cached_db", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.cache", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.file", "sessions.E001"),
        ("SESSION_SERIALIZER", "example.PickleSerializer", "sessions.E002"),
        ("SESSION_SAVE_EVERY_REQUEST", True, "sessions.E003"),
        ("SSO_COOKIE_SAMESITE", "None", "sessions.E006"),
        ("PASSWORD_HASHERS", ["idp.people.hashers.ClientSecretHasher"], "idp.E010"),
        ("PASSWORD_HASHERS", ["idp.people.hashers.OwaspArgon2Hasher"], "idp.E011"),
        ("CELERY_ACCEPT_CONTENT", ["json", "pickle"], "idp.E014"),
        ("ALLOWED_HOSTS", ["*"], "idp.E015"),
        ("DEBUG", True, "idp.E024"),
        ("SECURE_HSTS_SECONDS", 0, "idp.E023"),
        ("SESSION_COOKIE_SECURE", False, "idp.E022"),
        ("SSO_COOKIE_NAME", "curfew_sso", "idp.E021"),
        ("LOG_LEVEL", "LOUD", "idp.E005"),
        ("CONTENT_SECURITY_POLICY", {"DIRECTIVES": {"script-src": ["'unsafe-inline'"]}}, "idp.E060"),
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}, "idp.E013"),
        ("MIDDLEWARE", ["django.contrib.auth.middleware.AuthenticationMiddleware"], "sessions.E005"),
    ],
)
def test_checks_find_settings_that_are_never_right(settings, name: str, value: object, code: str) -> None:
    """A session engine that survives the end of its row, hashers and the shared cache."""
    setattr(settings, name, value)
    assert code in [message.id for message in checks()]


def test_a_weak_oauth_gate_or_a_foreign_token_model_is_found(settings) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 30,
    }
    settings.OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "oauth2_provider.AccessToken"
    assert {"idp.E012", "sessions.E007", "sessions.E008"} <= {message.id for message in checks()}


def checks() -> list[CheckMessage]:
    return run_checks(tags=["security"], include_deployment_checks=True)


def test_what_a_pod_is_told_of_the_services_beside_it_is_no_setting(tmp_path: Path) -> None:
    told = {
        "CURFEW_SERVICE_HOST": "10.0.0.7",
        "CURFEW_SERVICE_PORT": "80",
        "CURFEW_WEB_SERVICE_PORT_HTTP": "80",
        "CURFEW_PORT": "tcp://10.0.0.7:80",
        "CURFEW_WEB_PORT_80_TCP": "tcp://10.0.0.7:80",
        "CURFEW_WEB_PORT_80_TCP_ADDR": "10.0.0.7",
    }
    assert read(production(tmp_path, **told))
    with pytest.raises(ImproperlyConfigured, match="CURFEW_PORT"):
        read(production(tmp_path, CURFEW_PORT="8000"))
