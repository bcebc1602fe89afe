"""Pictures of the pages that matter, for docs/images: `python -m tests.e2e.screenshots [NAME...]`.

Each is taken at 1280 and 390 pixels, light and dark, against a fresh Curfew with its demo; pngquant makes them small, if it
is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary
from tests.support.chromium import chromium, new_page
from tests.support.stack import ROOT, Stack, embedded

IMAGES = ROOT / "docs" / "images"
WIDTHS = {1280: 800, 390: 844}
SCHEMES = ("light", "dark")
TALLEST = 2200  # pixels of a picture: a long list says nothing more further down
ADMINISTRATOR = "admin@fabrikamcorp.com"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
ALONE = """
from datetime import timedelta
from django.utils import timezone
from idp.models import Application, User
from sessions_app.models import RefreshTokenFamily, SSOSession
SSOSession.objects.all().delete()
RefreshTokenFamily.objects.all().delete()
app, now = Application.objects.get(name="JWT Debugger"), timezone.now()
# Upstream providers know people with this address too.
mary = User.objects.get(email="mary@fabrikamcorp.com", user_id__startswith="auth0|")
began, used = now - timedelta(days=9), now - timedelta(hours=3)
RefreshTokenFamily.objects.create(
    user=mary, application=app, offline=True, auth_time=now, created_at=began, last_exchanged_at=used
)
"""
ANDROID = "Mozilla/5.0 (Android 15; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0"


@dataclass(frozen=True)
class Shot:
    """`prepare` leaves the page as it is to be seen. `moves`: it goes on by itself, so that each picture needs one of its own."""

    name: str
    prepare: Callable[[Page, Stack], None]
    javascript: bool = True
    moves: bool = False


def login(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.app(mary.SHAREPOINT)}login")


def login_error(page: Page, stack: Stack) -> None:
    login(page, stack)
    page.locator("[name=username]").fill(mary.MARY)
    page.locator("[name=password]").fill("not her password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_visible()


def login_last_used(page: Page, stack: Stack) -> None:
    at_okta(page, stack, "Ann Ames")
    page.wait_for_url(stack.app(mary.SHAREPOINT))
    page.goto(f"{stack.issuer}v2/logout")
    login(page, stack)


def login_refused(page: Page, stack: Stack) -> None:
    at_okta(page, stack, "Cleo Clark")
    expect(page.get_by_role("alert")).to_be_visible()


def at_okta(page: Page, stack: Stack, person: str) -> None:
    login(page, stack)
    page.get_by_role("link", name="Continue with Acme Okta").click()
    page.get_by_role("button", name=person).click()


def sign_out_running(page: Page, stack: Stack) -> None:
    mary.use_all_three(page, stack)
    mary.misbehave(stack, mary.TIMESHEET, "hang")
    _sign_out(page, stack)
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(2)
    page.wait_for_timeout(1200)


def sign_out_red(page: Page, stack: Stack) -> None:
    sign_out_running(page, stack)
    expect(page.locator(".app-row[data-state=dead]")).to_have_count(1, timeout=10_000)


def sign_out_green(page: Page, stack: Stack) -> None:
    mary.use_all_three(page, stack)
    _sign_out(page, stack)
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
    page.get_by_role("button", name="Stay on this page").click()


def sign_out_without_javascript(page: Page, stack: Stack) -> None:
    mary.use_all_three_without_javascript(page, stack)
    _sign_out(page, stack)
    page.wait_for_timeout(2000)
    page.reload()


def _sign_out(page: Page, stack: Stack) -> None:
    page.goto(stack.app(mary.SHAREPOINT))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)


def signed_out(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.issuer}v2/logout")
    page.wait_for_timeout(500)


def confirm(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.SHAREPOINT)
    page.goto(f"{stack.issuer}oidc/logout")
    expect(page.locator("button[name=logout]").first).to_be_visible()


def error(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.issuer}authorize?client_id=unknown&response_type=code")


def home(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.SHAREPOINT)
    page.goto(stack.issuer)


def your_sessions(page: Page, stack: Stack) -> None:
    """One other device is still there, one has just been signed out, and an application stays signed in by itself."""
    stack.run("shell", "-c", ALONE)
    with another_browser(page, ANDROID) as tablet:
        mary.sign_in(tablet, stack, mary.SHAREPOINT)
        with another_browser(page, IPHONE) as phone:
            mary.sign_in(phone, stack, mary.SHAREPOINT)
            mary.join(phone, stack, mary.TIMESHEET)
        mary.use_all_three(page, stack)
        page.goto(f"{stack.issuer}account/sessions")
        page.get_by_role("button", name="Safari on iPhone").click()
        expect(page.get_by_text("2 of 2 apps told").first).to_be_visible()


def account(path: str, language: str = "") -> Callable[[Page, Stack], None]:
    """A page of Mary's account, in a language of her choice."""

    def prepare(page: Page, stack: Stack) -> None:
        mary.sign_in(page, stack, mary.SHAREPOINT)
        query = f"?ui_locales={language}" if language else ""
        page.goto(f"{stack.issuer}account/{path}{query}")

    return prepare


def login_in_german(page: Page, stack: Stack) -> None:
    page.set_extra_http_headers({"Accept-Language": "de"})
    page.goto(f"{stack.app(mary.SHAREPOINT)}login")


@contextmanager
def another_browser(page: Page, user_agent: str) -> Iterator[Page]:
    """A page in another profile of the same browser, which says it is something else."""
    browser = page.context.browser
    assert browser is not None
    with new_page(browser, user_agent=user_agent) as other:
        yield other


def app_debugger(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)


def app_sharepoint(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.SHAREPOINT)


def app_timesheet(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.TIMESHEET)


def admin(path: str, first: str = "") -> Callable[[Page, Stack], None]:
    """A page of the admin; `first` is the selector of a link in it to follow."""

    def prepare(page: Page, stack: Stack) -> None:
        page.goto(f"{stack.issuer}admin/")
        page.locator("[name=username]").fill(ADMINISTRATOR)
        page.locator("[name=password]").fill(stack.credentials["administrator"])
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{stack.issuer}admin/")
        page.goto(f"{stack.issuer}admin/{path}")
        if first:
            page.locator(first).first.click()
            page.wait_for_load_state()

    return prepare


def ended_session(page: Page, stack: Stack) -> None:
    with another_browser(page, ANDROID) as tablet:
        mary.use_all_three(tablet, stack)
        _sign_out(tablet, stack)
        expect(tablet.locator(".app-row[data-state=delivered]")).to_have_count(3)
    admin("sessions_app/ssosession/?state=ended", FIRST_ROW)(page, stack)


def connection_test(page: Page, stack: Stack) -> None:
    admin("idp/connection/", OKTA_ROW)(page, stack)
    page.locator(".object-tools").get_by_role("link", name="Test connection").click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("heading", name="What we found")).to_be_visible()


def end_everything(page: Page, stack: Stack) -> None:
    admin("idp/user/?q=mary%40fabrikamcorp.com", FIRST_ROW)(page, stack)
    page.locator(".object-tools").get_by_role("link", name="End everything").click()
    page.wait_for_load_state()


OKTA_ROW = "#result_list a:text-is('acme-okta')"
FIRST_ROW = "#result_list tbody th a, #result_list tbody td a"
SHOTS = (
    Shot("login", login),
    Shot("login-error", login_error),
    Shot("login-last-used", login_last_used, moves=True),
    Shot("login-refused", login_refused),
    Shot("login-german", login_in_german),
    Shot("sign-out-running", sign_out_running, moves=True),
    Shot("sign-out-green", sign_out_green, moves=True),
    Shot("sign-out-red", sign_out_red, moves=True),
    Shot("sign-out-no-javascript", sign_out_without_javascript, javascript=False, moves=True),
    Shot("signed-out", signed_out),
    Shot("confirm", confirm),
    Shot("error", error),
    Shot("home", home),
    Shot("your-sessions", your_sessions, moves=True),
    Shot("account", account("")),
    Shot("account-sign-in-methods", account("mfa/")),
    Shot("account-applications", account("applications")),
    Shot("account-activity", account("activity")),
    Shot("app-debugger", app_debugger),
    Shot("app-sharepoint", app_sharepoint),
    Shot("app-timesheet", app_timesheet),
    Shot("admin-start", admin("")),
    Shot("admin-application", admin("idp/application/", FIRST_ROW)),
    Shot("admin-connection", admin("idp/connection/", OKTA_ROW)),
    Shot("admin-connection-add", admin("idp/connection/add/")),
    Shot("admin-connection-test", connection_test),
    Shot("admin-session", ended_session),
    Shot("admin-sessions", admin("sessions_app/ssosession/")),
    Shot("admin-deliveries", admin("logout_app/logoutdelivery/")),
    Shot("admin-person", admin("idp/user/?q=mary%40fabrikamcorp.com", FIRST_ROW)),
    Shot("admin-evidence", admin("evidence/")),
    Shot("admin-find", admin("find/?q=s")),
    Shot("admin-application-add", admin("idp/application/add/")),
    Shot("admin-audit", admin("sessions_app/sessionevent/")),
    Shot("admin-invitation", admin("idp/invitation/add/")),
    Shot("admin-mails", admin("settings/mails/")),
    Shot("admin-settings", admin("idp/tenantsettings/")),
    Shot("admin-people", admin("idp/user/")),
    Shot("admin-end-everything", end_everything),
    Shot("admin-webhooks", admin("logout_app/webhook/")),
)


def take(shot: Shot, browser: Browser, stack: Stack) -> None:
    kinds = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
    for several in [[kind] for kind in kinds] if shot.moves else [kinds]:
        with new_page(browser, java_script_enabled=shot.javascript, **_as(*several[0])) as page:
            shot.prepare(page, stack)
            for width, scheme in several:
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.set_viewport_size({"width": width, "height": WIDTHS[width]})
                _picture(page, IMAGES / f"{shot.name}-{width}-{scheme}.png")
        mary.misbehave(stack, mary.TIMESHEET, "good")


def _as(width: int, scheme: str) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": WIDTHS[width]}, "color_scheme": scheme}


def _picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(300)  # colours arrive
    height = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": min(height, TALLEST)}  # type: ignore[index]
    page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]
    if shutil.which("pngquant"):
        small = ["pngquant", "--force", "--strip", "--speed", "1", "--skip-if-larger", "--output", str(path), str(path)]
        subprocess.run(small, check=False)  # it ends with 98 where it would gain nothing


def main(names: list[str]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="curfew-") as folder,
        embedded(Path(folder) / "data") as stack,
        chromium() as browser,
    ):
        for shot in SHOTS:
            if not names or shot.name in names:
                take(shot, browser, stack)


if __name__ == "__main__":
    main(sys.argv[1:])
