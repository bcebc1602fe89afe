"""System checks of the life of a session: settings that would keep a session alive after its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

ENGINE = "django.contrib.sessions.backends.db"
MIDDLEWARE = "sessions_app.middleware.SSOSessionMiddleware"
TOKEN_MODELS = {
    "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL": "sessions_app.AccessToken",
    "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL": "sessions_app.RefreshToken",
    "OAUTH2_PROVIDER_ID_TOKEN_MODEL": "sessions_app.IDToken",
    "OAUTH2_PROVIDER_GRANT_MODEL": "sessions_app.AuthorizationCode",
    "OAUTH2_PROVIDER_DEVICE_GRANT_MODEL": "sessions_app.DeviceGrant",
}


@register(Tags.security)
def check_session_settings(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*_engine(), *_middleware(), *_cookie(), *_tokens()]


def _engine() -> Iterator[Error]:
    if settings.SESSION_ENGINE != ENGINE:
        # Seen: signed cookies survive a logout, cached_db answers from the cache after its row is gone.
        yield Error(f"SESSION_ENGINE must be {ENGINE}: every other keeps sessions that have ended.", id="sessions.E001")
    if settings.SESSION_SERIALIZER != "django.contrib.sessions.serializers.JSONSerializer":
        yield Error("SESSION_SERIALIZER must be Django's JSON one.", id="sessions.E002")
    if settings.SESSION_SAVE_EVERY_REQUEST:
        yield Error("SESSION_SAVE_EVERY_REQUEST writes a row for every visitor.", id="sessions.E003")


def _middleware() -> Iterator[Error]:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield Error(f"{MIDDLEWARE} is missing in MIDDLEWARE.", id="sessions.E004")
    for name in (
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "oauth2_provider.middleware.OAuth2TokenMiddleware",
        "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware",
    ):
        if name in settings.MIDDLEWARE:
            yield Error(f"{name} would believe in people without a live session: remove it.", id="sessions.E005")


def _cookie() -> Iterator[Error]:
    if settings.SSO_COOKIE_SAMESITE == "None" and not settings.HTTPS:
        yield Error("CURFEW_COOKIE_SAMESITE=None needs an https issuer.", id="sessions.E006")


def _tokens() -> Iterator[Error]:
    for name, model in TOKEN_MODELS.items():
        if getattr(settings, name, None) != model:
            yield Error(f"{name} must be {model}: its tokens die with their session.", id="sessions.E007")
    if settings.OAUTH2_PROVIDER.get("REFRESH_TOKEN_GRACE_PERIOD_SECONDS"):
        yield Error("REFRESH_TOKEN_GRACE_PERIOD_SECONDS must be 0: ours is in the application.", id="sessions.E008")
