"""Every system check, by its id, with a production that it refuses. A good one (`test_settings`) is refused by none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from idp.redis import health
from tests.unit.test_settings import ROOT, applied, production

CHECKS = [path for app in ("idp", "sessions_app", "logout_app") for path in (ROOT / app).rglob("checks.py")]
WEAK_OAUTH = {"COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 30}
# By environment, as an operator would do it.
ENVIRONMENT: dict[str, dict[str, str]] = {
    "idp.E001": {"CURFEW_TRUSTED_PROXIES": "10.0.0.1/8"},
    "idp.E002": {"CURFEW_OUTBOUND_ALLOW": "intranet"},
    "idp.E003": {"CURFEW_OUTBOUND_PORTS": "443-80"},
    "idp.E004": {"CURFEW_JWKS_MAX_AGE": "0"},
    "idp.E005": {"CURFEW_LOG_LEVEL": "LOUD"},
    "idp.E006": {"CURFEW_ADMIN_NETWORKS": "office"},
    "idp.E007": {"CURFEW_ENCRYPTION_KEYS": "kms:AAAA"},
    "idp.E015": {"CURFEW_ALLOWED_HOSTS": "*"},
    "idp.E020": {"ISSUER": "http://localhost:8000/"},
    "idp.E025": {"CURFEW_TRUSTED_PROXIES": "unset"},
    "idp.E026": {"CURFEW_TRUSTED_PROXIES": "::/0"},
    "idp.E030": {"SECRET_KEY": "short"},
    "idp.E031": {"CURFEW_ENCRYPTION_KEYS": "unset"},
    "idp.E034": {"CURFEW_ENCRYPTION_KEYS": "kms:AAAA,guessable", "CURFEW_KMS_COMMAND": "cat"},
    "idp.E040": {"CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8"},
    "idp.E050": {"REDIS_URL": "redis://redis.example.com:6379/0"},
    "idp.E070": {"CURFEW_EMAIL_URL": "unset"},
    "sessions.E006": {"ISSUER": "http://localhost:8000/", "CURFEW_COOKIE_SAMESITE": "None"},
}
# By code: what no setting of ours leads to, and a change of settings.py would.
CODE: dict[str, dict[str, Any]] = {
    "idp.E010": {"PASSWORD_HASHERS": ["idp.people.hashers.ClientSecretHasher"]},
    "idp.E011": {"PASSWORD_HASHERS": ["idp.people.hashers.OwaspArgon2Hasher"]},
    "idp.E012": {"OAUTH2_PROVIDER": WEAK_OAUTH},
    "idp.E013": {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}},
    "idp.E014": {"CELERY_ACCEPT_CONTENT": ["json", "pickle"]},
    "idp.E021": {"SSO_COOKIE_NAME": "curfew_sso"},
    "idp.E022": {"CSRF_COOKIE_SECURE": False},
    "idp.E023": {"SECURE_HSTS_SECONDS": 0},
    "idp.E024": {"DEBUG": True},
    "idp.E060": {"CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"script-src": ["'unsafe-inline'"]}}},
    "sessions.E001": {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"},
    "sessions.E002": {"SESSION_SERIALIZER": "example.PickleSerializer"},
    "sessions.E003": {"SESSION_SAVE_EVERY_REQUEST": True},
    "sessions.E004": {"MIDDLEWARE": []},
    "sessions.E005": {"MIDDLEWARE": ["django.contrib.auth.middleware.AuthenticationMiddleware"]},
    "sessions.E007": {"OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL": "oauth2_provider.AccessToken"},
    "sessions.E008": {"OAUTH2_PROVIDER": WEAK_OAUTH},
}
REDIS = {"idp.E051": "allkeys-lru", "idp.I051": "", "idp.I052": OSError("no route")}  # what it says of eviction
FILES = {"idp.E032", "idp.E033"}  # below


@pytest.fixture(autouse=True)
def _redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "eviction", lambda: health.KEEPS_ALL)


@contextmanager
def environment(good: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ, good, clear=True), applied(good):
        yield


def found() -> set[str]:
    ours = ("idp.", "sessions.")
    return {str(each.id) for each in run_checks(tags=["security"], include_deployment_checks=True)} & {
        code for code in known() if code.startswith(ours)
    }


def known() -> set[str]:
    texts = "".join(path.read_text() for path in CHECKS)
    return set(re.findall(r'"((?:idp|sessions|logout)\.[EWI]\d{3})"', texts))


def test_every_check_has_an_example_here() -> None:
    assert known() == {*ENVIRONMENT, *CODE, *REDIS, *FILES}


def test_a_good_production_is_refused_by_none(tmp_path: Path) -> None:
    with environment(production(tmp_path)):
        assert found() == set()


@pytest.mark.parametrize("code", ENVIRONMENT)
def test_what_an_operator_may_set_wrongly_is_found(tmp_path: Path, code: str) -> None:
    with environment(production(tmp_path, **ENVIRONMENT[code])):
        assert code in found()


@pytest.mark.parametrize("code", CODE)
def test_what_a_change_of_the_settings_may_break_is_found(tmp_path: Path, code: str) -> None:
    with environment(production(tmp_path)), override_settings(**CODE[code]):
        assert code in found()


@pytest.mark.parametrize("code", REDIS)
def test_a_redis_that_may_throw_keys_away_is_found(tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def eviction() -> str:
        if isinstance(REDIS[code], OSError):
            raise REDIS[code]
        return str(REDIS[code])

    monkeypatch.setattr(health, "eviction", eviction)
    with environment(production(tmp_path)):
        assert found() == {code}


@pytest.mark.parametrize("code", sorted(FILES))
def test_a_secret_that_others_can_read_is_found(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    changes: dict[str, str] = {"SECRET_KEY": "unset", "SECRET_KEY_FILE": str(folder / "key")}
    path = folder / ("key" if code == "idp.E032" else "secret_key")
    (folder / "key").write_text("0123456789abcdefghijklmnopqrstuvwxyz" * 2)
    (folder / "key").chmod(0o600)
    path.touch()
    for mode, wanted in ((0o600, set()), (0o644, {code})):
        path.chmod(mode)
        with environment(production(tmp_path, **changes)):
            assert found() == wanted
