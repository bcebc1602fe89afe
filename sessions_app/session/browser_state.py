"""The browser state of Session Management 1.0: a random value that scripts of our own page may read, and that names nobody.

It changes when somebody signs in or out in this browser and at no other time. It is no credential: whoever knows it learns
nothing and may do nothing.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from idp.models import TenantSettings
from idp.protocol.opaque import new_secret
from sessions_app.protocol.session_state import session_state

OURS = re.compile(r"[A-Za-z0-9_-]{43}")
SALT_LENGTH = 22  # 128 random bits and more


def renew(response: HttpResponse, tenant: TenantSettings) -> None:
    """Somebody signed in or out: every page that watches this browser will be told "changed"."""
    if tenant.session_management and settings.BROWSER_STATE_COOKIE_NAME not in response.cookies:
        _write(response, new_secret(), tenant)


def state_for(
    request: HttpRequest,
    response: HttpResponse,
    tenant: TenantSettings,
    *,
    client_id: str,
    redirect_uri: str,
    is_new: bool = False,
) -> str | None:
    """The `session_state` of an authorization response, success or error; None when the tenant has it off.

    A browser that has no state yet, or in which somebody signs in with this very answer (`is_new`), gets one as a cookie on
    `response`.
    """
    if not tenant.session_management:
        return None
    kept = "" if is_new else request.COOKIES.get(settings.BROWSER_STATE_COOKIE_NAME, "")
    browser_state = kept if OURS.fullmatch(kept) else new_secret()
    value = session_state(
        client_id=client_id, redirect_uri=redirect_uri, browser_state=browser_state, salt=new_secret()[:SALT_LENGTH]
    )
    if value is not None and browser_state != kept:
        _write(response, browser_state, tenant)
    return value


def _write(response: HttpResponse, value: str, tenant: TenantSettings) -> None:
    """Readable by scripts on purpose (section 3.2), and kept for as long as the cookie of the session is."""
    response.set_cookie(
        settings.BROWSER_STATE_COOKIE_NAME,
        value,
        max_age=tenant.session_cookie_age,
        path="/",
        secure=settings.HTTPS,
        httponly=False,
        samesite=settings.SSO_COOKIE_SAMESITE,
    )
