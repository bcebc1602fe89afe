"""Rows and signed-in browsers for tests: the seed's people and applications, spelt out."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from idp.models import Application, Connection, Identity, User, new_database_sub
from idp.protocol.opaque import digest, new_secret
from idp.protocol.text import normal_forms
from sessions_app.models import SessionClient, SSOSession

PASSWORD = "correct horse battery staple"


def make_connection(name: str = "FabrikamAD", strategy: str = "auth0", **fields: Any) -> Connection:
    return Connection.objects.get_or_create(name=name, defaults={"strategy": strategy, **fields})[0]


def make_user(
    email: str = "mary@fabrikamcorp.com", connection: Connection | None = None, password: str = PASSWORD, **fields: Any
) -> User:
    connection = connection or make_connection()
    sub, address = new_database_sub(), normal_forms.name(email)
    user = User.objects.create(
        user_id=f"auth0|{sub}",
        password=_hashed(password),
        email=email,
        email_verified=True,
        name=fields.pop("name", email.split("@")[0].title()),
        **fields,
    )
    Identity.objects.create(user=user, connection=connection, sub=sub, login=address, email=address)
    return user


@cache
def _hashed(password: str) -> str:
    """As strong as any, but only once in a run."""
    return make_password(password)


def make_application(name: str = "JWT Debugger", **fields: Any) -> Application:
    """A first-party regular web application; its secret in clear is `application.raw_secret`."""
    raw_secret = fields.pop("client_secret", "a-test-secret-of-enough-length-0123456789")
    host = name.lower().replace(" ", "-")
    defaults: dict[str, Any] = {
        "client_id": host,
        "redirect_uris": f"https://{host}.example/callback",
        "post_logout_redirect_uris": f"https://{host}.example/out",
    }
    application = Application.objects.create(name=name, client_secret=raw_secret, **{**defaults, **fields})
    application.raw_secret = raw_secret  # type: ignore[attr-defined]
    return application


def make_session(user: User, *applications: Application, **fields: Any) -> SSOSession:
    """A live session that the applications joined; the cookie's value is `session.raw_cookie`."""
    now = timezone.now()
    cookie = new_secret()
    defaults: dict[str, Any] = {
        "cookie_hash": digest(cookie),
        "identity": user.identities.first(),
        "connection": Connection.objects.filter(identities__user=user).first(),
        "auth_time": now,
        "last_seen_at": now,
        "idle_expires_at": now + timedelta(hours=72),
        "expires_at": now + timedelta(hours=168),
        "amr": [{"name": "pwd", "timestamp": now.isoformat()}],
        "last_application": applications[-1] if applications else None,
    }
    session = SSOSession.objects.create(user=user, **{**defaults, **fields})
    SessionClient.objects.bulk_create([SessionClient(session=session, application=a) for a in applications])
    session.raw_cookie = cookie  # type: ignore[attr-defined]
    return session


def browser(session: SSOSession | None = None, **kwargs: Any) -> Client:
    """A Django test client that holds the session's cookie (`client.force_login` signs nobody in here)."""
    client = Client(**kwargs)
    if session is not None:
        client.cookies[settings.SSO_COOKIE_NAME] = session.raw_cookie  # type: ignore[attr-defined]
    return client
