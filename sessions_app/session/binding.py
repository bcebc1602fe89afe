"""The browser's cookie and the SSO session behind it: three values that never meet (cookie, `sid`, primary key)."""

from __future__ import annotations

import functools
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CSRF_SECRET_LENGTH
from django.utils import timezone
from django.utils.crypto import salted_hmac

from idp.database.lookups import Given, Lookup
from idp.http import languages
from idp.http.visit import Visit
from idp.models import TenantSettings, User
from idp.protocol.opaque import digest, new_secret
from idp.tenants import configuration, rules
from sessions_app.models import SSOSession
from sessions_app.session import browser_state

P = ParamSpec("P")
_BY_COOKIE = Lookup(
    lambda: (
        SSOSession.objects.filter(cookie_hash=Given("cookie_hash"))
        .select_related("user")
        .annotate(config_version=configuration.VERSION)
    )
)
LOGIN_STATUS = "Set-Login"  # Login Status API: what a browser may tell others of this origin without asking us
SIGNED_OUT_FOR = timedelta(minutes=10)
LONGEST_COOKIE = 100  # ours have 43 characters; nothing longer is worth hashing


def load(request: HttpRequest, at: datetime) -> SSOSession | None:
    """The live session of the request's cookie, with user and connection, for one SELECT; none without a cookie.

    The session carries `config_version`, so `configuration.at(session.config_version)` costs nothing more. A lifetime
    that was shortened since the last activity counts from now on: the row is corrected, and perhaps dead.
    """
    value = request.COOKIES.get(settings.SSO_COOKIE_NAME, "")
    if not value or len(value) > LONGEST_COOKIE:
        return None
    session = _BY_COOKIE.get(cookie_hash=digest(value))
    if session is None or not session.is_alive(at):
        return None
    snapshot = configuration.at(session.config_version)  # type: ignore[attr-defined]  # annotated above
    if session.connection_id is not None:  # at hand there; a join would read it for each request
        session.connection = snapshot.connection_by_pk(session.connection_id)
    _shorten(session, snapshot.tenant)
    return session if session.is_alive(at) else None


class Browser(Visit):
    """The session of the browser as one request knows it, and what the answer will tell the browser.

    `SSOSessionMiddleware` attaches it as `request.browser` and writes the cookies: what signs in deep inside allauth's flow
    has no response to write them into.

    - `new_cookie` is None until somebody signs in or out in this request. Then it is what the browser gets; "" takes the
      cookie away.
    - `tenant`, known from the same moment if it was at hand there, says how the cookie is written.
    - `new_device_cookie` is "" until an account is remembered that this browser was not known to (`attempts`).
    - `new_remembered_cookie` is "" until somebody has this browser remembered instead of a second factor (`remembered`).
    - `is_activity` is True until a view says that it is not (`passive`).
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._session: SSOSession | None = None
        self.was_looked_up = False  # then the answer varies with the cookie
        self.new_cookie: str | None = None
        self.tenant: TenantSettings | None = None
        self.new_device_cookie = ""
        self.new_remembered_cookie = ""
        self.is_activity = True

    @property
    def session(self) -> SSOSession | None:
        """The live session of the cookie that came, looked up when first asked for; after a sign-in the new one, after a
        sign-out none."""
        if not self.was_looked_up:
            self.session = load(self._request, timezone.now())
        return self._session

    @session.setter
    def session(self, session: SSOSession | None) -> None:
        self._session, self.was_looked_up = session, True
        if session is not None:
            languages.heard_of(self._request, session.user.language)

    @property
    def proved_at(self) -> datetime | None:
        return self.session.auth_time if self.session is not None else None

    @property
    def chosen_language(self) -> str | None:
        return self.session.user.language if self.session is not None else None

    def holds(self, session: SSOSession, cookie: str, tenant: TenantSettings | None = None) -> None:
        """Somebody signed in, or proved again who they are: from the answer on the browser has this cookie of the session."""
        self.session, self.new_cookie, self.tenant = session, cookie, tenant

    def holds_none(self, tenant: TenantSettings | None = None) -> None:
        """Somebody signed out: the answer takes the cookie away."""
        self.session, self.new_cookie, self.tenant = None, "", tenant


def browser_of(request: HttpRequest) -> Browser:
    """What `SSOSessionMiddleware` attached; every view for pages is behind it, and what answers programs needs none."""
    browser: Browser = request.browser  # type: ignore[attr-defined]
    return browser


def session_of(request: HttpRequest) -> SSOSession | None:
    """Whose request this is: the session of its browser."""
    return browser_of(request).session


def hold_signed_in(request: HttpRequest, user: User) -> None:
    """In the transaction of an act by which somebody would come in again: that must not come after an act that ended their session.
    The person is locked first, as everywhere, and whoever ends everything of theirs at this moment is waited for.

    Raises PermissionDenied.
    """
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk"))
    session = session_of(request)
    if session is None or not SSOSession.objects.live(timezone.now()).filter(pk=session.pk, user=user).exists():
        raise PermissionDenied("the session ended meanwhile")


def passive(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """For endpoints that scripts poll: a request to them is not activity and prolongs nothing."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        browser_of(request).is_activity = False
        return view(request, *args, **kwargs)

    return wrapped


def secret_of_form(request: HttpRequest, identity_pk: int | None) -> str:
    """The cookie of the session that this sign-in opens or renews: the same for each copy of one form (ADR 28).

    Copies bring the same CSRF secret, which the sign-in replaces, and the same cookie, which it ends. The value is keyed
    and of one account: who knows both cannot compute it, nor have it by signing in as somebody else. Random without a form.
    """
    csrf = request.COOKIES.get(settings.CSRF_COOKIE_NAME, "")
    if len(csrf) != CSRF_SECRET_LENGTH:
        return new_secret()
    sent = request.COOKIES.get(settings.SSO_COOKIE_NAME, "")[:LONGEST_COOKIE]
    mac = salted_hmac("curfew.session.of-form", f"{csrf}\0{sent}\0{identity_pk}", algorithm="sha256")
    return urlsafe_b64encode(mac.digest()).decode().rstrip("=")


def set_cookie(response: HttpResponse, value: str, tenant: TenantSettings | None = None) -> None:
    tenant = tenant or configuration.current().tenant
    response.set_cookie(
        settings.SSO_COOKIE_NAME,
        value,
        max_age=tenant.session_cookie_age,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite=settings.SSO_COOKIE_SAMESITE,
    )
    response.headers[LOGIN_STATUS] = "logged-in"
    browser_state.renew(response, tenant)


def clear_cookie(response: HttpResponse, tenant: TenantSettings | None = None) -> None:
    response.headers[LOGIN_STATUS] = "logged-out"
    response.delete_cookie(settings.SSO_COOKIE_NAME, path="/", samesite=settings.SSO_COOKIE_SAMESITE)
    response.set_cookie(
        settings.SIGNED_OUT_COOKIE_NAME,
        "1",
        max_age=SIGNED_OUT_FOR,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
    browser_state.renew(response, tenant or configuration.current().tenant)


def limits(tenant: TenantSettings, *, auth_time: datetime, seen_at: datetime) -> tuple[datetime, datetime]:
    """When a session ends by absolute age (since the person last proved who they are), and by idleness."""
    return (
        auth_time + timedelta(minutes=rules.within(tenant, "session_lifetime_in_minutes")),
        seen_at + timedelta(minutes=rules.within(tenant, "idle_session_lifetime_in_minutes")),
    )


def _shorten(session: SSOSession, tenant: TenantSettings) -> None:
    expires_at, idle_expires_at = limits(tenant, auth_time=session.auth_time, seen_at=session.last_seen_at)
    if expires_at >= session.expires_at and idle_expires_at >= session.idle_expires_at:
        return
    session.expires_at = min(session.expires_at, expires_at)
    session.idle_expires_at = min(session.idle_expires_at, idle_expires_at)
    SSOSession.objects.filter(pk=session.pk, ended_at=None).update(
        expires_at=session.expires_at, idle_expires_at=session.idle_expires_at
    )
