"""Sign in as a person does: through the login form, over HTTP."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client

from idp.protocol.opaque import digest
from sessions_app.models import SSOSession
from tests.support.factories import PASSWORD

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def csrf_client(**kwargs: Any) -> Client:
    """A browser for which CSRF protection is not switched off, as Django's test client does."""
    return Client(enforce_csrf_checks=True, **kwargs)


def csrf_token(client: Client, path: str) -> str:
    """Open a page as a browser does and read the token of its form."""
    page = client.get(path)
    match = TOKEN.search(page.content.decode())
    assert match, f"{path} answered {page.status_code} without a form"
    return match[1]


def sign_in_by_form(
    client: Client,
    username: str = "mary@fabrikamcorp.com",
    password: str = PASSWORD,
    *,
    next: str = "",
    **fields: str,
) -> Any:
    """GET the login page, POST its form; returns the answer to the POST, not followed."""
    path = f"/login?{urlencode({'next': next})}" if next else "/login"
    data = {"username": username, "password": password, "csrfmiddlewaretoken": csrf_token(client, path), **fields}
    if next:
        data["next"] = next
    return client.post("/login", data)


def session_of(client: Client) -> SSOSession | None:
    """The row behind the client's cookie, alive or not."""
    cookie = client.cookies.get(settings.SSO_COOKIE_NAME)
    return SSOSession.objects.filter(cookie_hash=digest(cookie.value)).first() if cookie and cookie.value else None
