"""Pages that no address alone leads to: what people meet on their way, each left as it is to be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from idp.models import Application, Invitation, MailLink, MailLinkKind
from idp.people import mail_links
from idp.protocol.opaque import digest
from sessions_app.account import mail, not_me
from sessions_app.models import DeviceGrant, SecurityMail
from sessions_app.oauth.device import user_code_digest
from tests.protocol.admin.scene import came_of
from tests.support.fabrikam import FIREFOX, Fabrikam
from tests.support.factories import PASSWORD, make_application, make_session

CODE = "WDJBMJHT"


@dataclass
class Stage:
    page: Page
    it: Fabrikam
    url: str

    def sign_in(self) -> None:
        """As Adele, whom a password is enough for."""
        session = make_session(self.it.adele, self.it.debugger, self.it.timesheet, last_user_agent=FIREFOX)
        cookie = {"name": settings.SSO_COOKIE_NAME, "value": session.raw_cookie, "url": self.url}  # type: ignore[attr-defined]
        self.page.context.add_cookies([cookie])  # type: ignore[list-item]

    def go(self, link: str) -> None:
        """To what a mail leads to, or a path."""
        path = urlsplit(link)
        self.page.goto(f"{path.path}?{path.query}" if path.query else path.path)

    def authorize(self, application: Application, **more: str) -> None:
        asked = {"client_id": application.client_id, "response_type": "code", "scope": "openid profile email"}
        uri = application.redirect_uris.split()[0]
        self.page.goto(f"/authorize?{urlencode({**asked, 'redirect_uri': uri, **more})}")


def login_error(at: Stage) -> None:
    at.page.goto("/login")
    at.page.fill("[name=username]", at.it.adele.email)
    at.page.fill("[name=password]", "not her password")
    at.page.press("[name=password]", "Enter")
    expect(at.page.get_by_role("alert").first).to_be_visible()


def second_factor(at: Stage) -> None:
    at.page.goto("/login")
    at.page.fill("[name=username]", at.it.mary.email)
    at.page.fill("[name=password]", PASSWORD)
    at.page.press("[name=password]", "Enter")
    expect(at.page.locator("[name=code]")).to_be_visible()


def new_password(at: Stage) -> None:
    at.go(mail.new_password_url(at.it.adele, True))
    expect(at.page.locator("[name=password1]")).to_be_visible()


def invitation(at: Stage) -> None:
    at.go(f"/invitation/key/{mail_links.make_secret(MailLink.objects.get(invitation=at.it.rows[Invitation]))}")
    expect(at.page.get_by_role("button").first).to_be_visible()


def sign_up(at: Stage) -> None:
    at.page.goto("/signup")


def sign_up_finish(at: Stage) -> None:
    row = mail_links.ask(MailLinkKind.SIGN_UP, "nina@fabrikamcorp.com", timezone.now(), connection=at.it.staff)
    at.go(f"/signup/key/{mail_links.make_secret(row)}")
    expect(at.page.locator("[name=password], [name=password1]").first).to_be_visible()


def by_mail(at: Stage) -> None:
    at.page.goto("/login/by-mail")


def by_mail_code(at: Stage) -> None:
    at.page.goto("/login/by-mail")
    at.page.get_by_label("E-mail address").fill(at.it.adele.email)
    at.page.get_by_role("button", name="Send the mail").click()
    expect(at.page.get_by_label("Code")).to_be_visible()


def was_not_me(at: Stage) -> None:
    now = timezone.now()
    row = SecurityMail.objects.create(kind="new_password", user=at.it.adele, once="x", happened_at=now, due_at=now)
    at.go(not_me.link(row, at.it.adele.email, now))


def consent(at: Stage) -> None:
    at.sign_in()
    at.authorize(make_application("Survey", is_first_party=False))


def not_admitted(at: Stage) -> None:
    at.sign_in()
    at.it.sharepoint.access_groups = ["Board"]
    at.it.sharepoint.save()
    at.authorize(at.it.sharepoint)


def set_up_a_second_factor(at: Stage) -> None:
    at.sign_in()
    at.authorize(make_application("Vault", require_mfa=True))


def an_authenticator_app(at: Stage) -> None:
    at.sign_in()
    at.page.goto("/account/mfa/totp/activate/")


def device(at: Stage) -> None:
    at.sign_in()
    DeviceGrant.objects.all().delete()
    DeviceGrant.objects.create(
        application=at.it.cinema, client_id=at.it.cinema.client_id, device_code=digest("d"), user_code=user_code_digest(CODE),
        scope="openid profile", expires=timezone.now() + timedelta(minutes=15),
    )  # fmt: skip
    at.page.goto(f"/activate?user_code={CODE}")


def device_done(at: Stage) -> None:
    device(at)
    at.page.locator("button[value=allow]").click()


def saml_error(at: Stage) -> None:
    at.page.goto(f"/samlp/{at.it.payroll.client_id}?SAMLRequest=x")


def upstream_error(at: Stage) -> None:
    at.page.goto("/login/callback?error=access_denied&error_description=User+is+not+assigned&state=x")


def sign_out_asks(at: Stage) -> None:
    at.sign_in()
    at.page.goto("/oidc/logout")


def sign_out_runs(at: Stage) -> None:
    at.sign_in()
    at.page.goto(f"/v2/logout?client_id={at.it.debugger.client_id}")
    expect(at.page.locator(".app-row").first).to_be_visible()


def sign_out_fails(at: Stage) -> None:
    sign_out_runs(at)
    came_of(at.it.debugger, "delivered", status=204)
    came_of(at.it.timesheet, "dead", status=503, reason="HTTP 503: busy")
    expect(at.page.locator(".app-row[data-state=dead]")).to_be_visible()


def sign_out_succeeds(at: Stage) -> None:
    sign_out_runs(at)
    for application in (at.it.debugger, at.it.timesheet):
        came_of(application, "delivered", status=204)
    expect(at.page.locator(".app-row[data-state=delivered]")).to_have_count(2)


def sessions(at: Stage) -> None:
    at.sign_in()
    make_session(
        at.it.adele, at.it.debugger, last_user_agent="Mozilla/5.0 (Android 15; Mobile; rv:142.0) Firefox/142.0"
    )
    at.page.goto("/account/sessions")


STATES: tuple[Callable[[Stage], None], ...] = (
    login_error, second_factor, new_password, invitation, sign_up, sign_up_finish, by_mail, by_mail_code, was_not_me,
    consent, not_admitted, set_up_a_second_factor, an_authenticator_app, device, device_done, saml_error, upstream_error,
    sign_out_asks, sign_out_runs, sign_out_fails, sign_out_succeeds, sessions,
)  # fmt: skip
