"""An application from its registration to a test sign-out, in a real browser: with scripts, without, and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from idp.crypto import keys
from idp.models import Application, ResourceServer
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import make_application, make_session, make_user
from tests.support.looking import WIDE, look
from tests.support.pages import page_of
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


@pytest.fixture
def receiver(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    keys.ensure()
    with Receiver(tmp_path) as running:
        yield running


def adding(kind: str = "") -> str:
    return reverse("admin:idp_application_add") + (f"?kind={kind}" if kind else "")


def change(application: Application) -> str:
    return reverse("admin:idp_application_change", args=(application.pk,))


def choose(page: Page) -> None:
    page.goto(adding())


def ask_for_a_web_application(page: Page) -> None:
    page.goto(adding("web"))


def be_refused(page: Page) -> None:
    page.goto(adding("web"))
    page.fill("[name=redirect_uris]", "http://timesheet.example/callback")
    page.click("text=Register")
    page.wait_for_selector(".errorlist")


def ask_for_a_machine(page: Page) -> None:
    page.goto(adding("machine"))


def register(page: Page) -> None:
    page.goto(adding("web"))
    page.fill("[name=name]", "Expenses")
    page.fill("[name=redirect_uris]", "https://expenses.example/callback")
    page.fill("[name=post_logout_redirect_uris]", "https://expenses.example/")
    page.click("text=Register")
    page.wait_for_selector("text=I have copied it")


def register_a_device(page: Page) -> None:
    page.goto(adding("device"))
    page.fill("[name=name]", "Cinema")
    page.click("text=Register")
    page.wait_for_selector("text=Go on")


def look_at_it(page: Page) -> None:
    page.goto(change(Application.objects.get(name="JWT Debugger")))


def look_at_a_tab(page: Page) -> None:
    page.goto(change(Application.objects.get(name="JWT Debugger")) + "#sign-out")


def send_a_test(page: Page) -> None:
    page.goto(change(Application.objects.get(name="JWT Debugger")))
    page.locator(".object-tools").get_by_role("link", name="Send a test sign-out").click()
    page.click("input[value='Send a test sign-out']")
    page.wait_for_selector("text=Came back")


PAGES: tuple[Callable[[Page], None], ...] = (
    choose,
    ask_for_a_web_application,
    be_refused,
    ask_for_a_machine,
    register,
    register_a_device,
    look_at_it,
    look_at_a_tab,
    send_a_test,
)


def test_everybody_can_read_the_pages_of_applications(
    chrome: Browser, live_server: Any, boss: SSOSession, receiver: Receiver
) -> None:
    receiver.behave(out="400:the issuer is another")
    application = make_application(backchannel_logout_uri=receiver.url("out"))
    ResourceServer.objects.create(identifier="https://api.example/", scopes=[{"value": "read:reports"}])
    for uri in ("https://jwt-debugger.example/callback/", "http://localhost:3000/callback"):
        Client().get("/authorize", {"client_id": application.client_id, "redirect_uri": uri, "response_type": "code"})
    problems: dict[str, list[str]] = {}
    with page_of(chrome, live_server, boss, viewport=WIDE) as (page, complaints):
        for prepare in PAGES:
            page.set_viewport_size(WIDE)  # type: ignore[arg-type]
            prepare(page)
            found = [*complaints, *look(page, f"application_{prepare.__name__}")]
            complaints.clear()
            if found:
                problems[prepare.__name__] = found
    assert problems == {}


@pytest.mark.parametrize("javascript", [True, False])
def test_an_application_is_registered_by_its_kind_and_tested(
    chrome: Browser, live_server: Any, boss: SSOSession, receiver: Receiver, javascript: bool
) -> None:
    with page_of(chrome, live_server, boss, java_script_enabled=javascript) as (page, _):
        page.goto(reverse("admin:idp_application_changelist"))
        page.click(".object-tools a.addlink")
        page.click("text=Web application")
        page.fill("[name=name]", "Timesheet SaaS")
        page.fill("[name=redirect_uris]", "https://timesheet.example/callback")
        page.fill("[name=backchannel_logout_uri]", receiver.url("out"))
        page.click("text=Register")
        secret = page.inner_text(".endpoints code >> nth=0")
        assert len(secret) == 43
        application = Application.objects.get()
        assert f'"{application.client_id}"' in page.inner_text(".snippet >> nth=0")
        page.click("text=I have copied it")
        assert secret not in page.content()
        page.locator(".object-tools").get_by_role("link", name="Send a test sign-out").click()
        page.click("input[value='Send a test sign-out']")
        expect(page.locator("#content-start")).to_contain_text("It took the logout token and answered 200")


def test_tabs_can_be_used_by_keyboard(chrome: Browser, live_server: Any, boss: SSOSession) -> None:
    application = make_application()
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(change(application))
        tabs = page.get_by_role("tab")
        assert tabs.all_inner_texts() == [
            "Basics",
            "Addresses",
            "Sign-out",
            "Tokens",
            "Claims",
            "SAML",
            "Access",
            "Keys",
        ]
        page.get_by_role("tab", name="Basics").focus()
        for key, opened in (
            ("ArrowRight", "Addresses"),
            ("End", "Keys"),
            ("ArrowRight", "Basics"),
            ("ArrowLeft", "Keys"),
            ("Home", "Basics"),
            ("ArrowRight", "Addresses"),
        ):
            page.keyboard.press(key)
            expect(page.get_by_role("tab", selected=True)).to_have_text(opened)
            expect(page.get_by_role("tab", name=opened)).to_be_focused()
            expect(page.get_by_role("tabpanel")).to_have_count(1)
        page.keyboard.press("Tab")
        expect(page.locator("[name=redirect_uris]")).to_be_focused()
        page.reload()
        expect(page.get_by_role("tab", selected=True)).to_have_text("Addresses")
        assert complaints == []


def test_what_is_changed_in_two_tabs_is_saved_at_once_and_a_mistake_opens_its_tab(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    application = make_application()
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(change(application))
        page.fill("[name=name]", "Renamed")
        page.get_by_role("tab", name="Sign-out").click()
        page.fill("[name=backchannel_logout_uri]", "gopher://timesheet.example/")
        page.get_by_role("tab", name="Basics").click()
        page.click("input[name=_continue]")
        expect(page.get_by_role("tab", selected=True)).to_contain_text("Sign-out ✕ 1")
        expect(page.locator(".field-backchannel_logout_uri .errorlist")).to_be_visible()
        page.fill("[name=backchannel_logout_uri]", "https://timesheet.example/backchannel")
        page.click("input[name=_continue]")
        page.wait_for_selector(".messagelist")
        assert complaints == []
    application.refresh_from_db()
    assert (application.name, application.backchannel_logout_uri) == (
        "Renamed",
        "https://timesheet.example/backchannel",
    )


def test_without_scripts_every_topic_is_on_the_page_and_the_links_lead_to_it(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    application = make_application()
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(change(application))
        for name in ("name", "redirect_uris", "backchannel_logout_uri", "id_token_lifetime", "jwks"):
            assert page.locator(f"[name={name}]").is_visible()
        page.locator(".tabs").get_by_role("link", name="Keys").click()
        assert page.url.endswith("#keys")
        top = page.locator("#keys").bounding_box()
        assert top is not None
        assert abs(top["y"]) < 40
