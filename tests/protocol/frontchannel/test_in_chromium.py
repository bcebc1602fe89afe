"""The sign-out page in a real browser, with applications on other sites, third-party cookies allowed and blocked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.protocol.frontchannel.other_sites import Apps
from tests.rps.running import MARY, curfew, sign_in, tenant_of
from tests.support.chromium import profile, visited

pytestmark = pytest.mark.once
FRONT = "OpenID Connect Front-Channel Logout 1.0"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    running = Apps()
    tenant = tenant_of(*running.registrations())
    with curfew(tmp_path_factory.mktemp("sites"), tenant, host="id.localhost") as running.issuer:
        yield running
    running.stop()


@pytest.fixture(params=[True, False], ids=["third-party cookies allowed", "third-party cookies blocked"])
def third_party_cookies(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with profile(tmp_path_factory.mktemp("allowed"), third_party_cookies=True) as running:
        yield running


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with profile(tmp_path_factory.mktemp("blocked"), third_party_cookies=False) as running:
        yield running


@pytest.fixture
def context(request: pytest.FixtureRequest, third_party_cookies: bool) -> Iterator[BrowserContext]:
    with visited(request.getfixturevalue("allowed" if third_party_cookies else "blocked")) as running:
        yield running


@pytest.fixture
def one_context(allowed: BrowserContext) -> Iterator[BrowserContext]:
    with visited(allowed) as running:
        yield running


def use(context: BrowserContext, apps: Apps, *names: str) -> Page:
    """Sign in to the applications, one after the other; the password is asked for once."""
    page = context.new_page()
    for number, name in enumerate(names):
        page.goto(f"{apps.site(name)}/login")
        if number == 0:
            sign_in(page)
        page.wait_for_url(f"{apps.site(name)}/")
        assert says(page, apps, name) == "signed in"
    return page


def says(page: Page, apps: Apps, name: str) -> str:
    page.goto(f"{apps.site(name)}/")
    return page.inner_text("body")


def sign_out(page: Page, apps: Apps) -> None:
    page.goto(f"{apps.issuer}v2/logout", wait_until="commit")


def row(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.locator(f".app-row[data-name={name}]")


@pytest.mark.spec(FRONT, "4.1", "F6 what blocked third-party cookies keep from happening is not shown as done")
@pytest.mark.spec(FRONT, "2", "F4 one page frames all applications at once")
def test_the_page_tells_the_truth_about_every_application(
    context: BrowserContext, apps: Apps, third_party_cookies: bool
) -> None:
    names = ("by-cookie", "by-sid", "both")
    page = use(context, apps, *names)
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    expect(row(page, "both")).to_have_attribute("data-state", "delivered")  # blocked: by the back channel
    by_cookie = row(page, "by-cookie")
    expect(by_cookie).to_have_attribute("data-state", "delivered" if third_party_cookies else "loaded")
    everywhere = page.get_by_role("heading", name="You are signed out everywhere")
    if third_party_cookies:
        expect(everywhere).to_be_visible()
    else:
        expect(by_cookie).to_contain_text("Page loaded, not confirmed")
        expect(page.get_by_role("heading", name="You are signed out", exact=True)).to_be_visible()
        expect(everywhere).to_have_count(0)
    shown = {name: row(page, name).get_attribute("data-state") == "delivered" for name in names}
    assert {name: says(page, apps, name) == "signed out" for name in names} == shown


def test_a_page_that_never_answers_is_red_after_five_seconds_and_holds_nobody_up(
    one_context: BrowserContext, apps: Apps
) -> None:
    page = use(one_context, apps, "mute", "by-sid")
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    expect(row(page, "mute")).to_have_attribute("data-state", "pending")
    expect(row(page, "mute")).to_have_attribute("data-state", "dead", timeout=8000)
    expect(row(page, "mute")).to_contain_text("No answer")
    expect(page.get_by_role("link", name="Continue")).to_be_visible()


def test_an_application_that_answers_with_an_error_is_red_counted_and_can_be_tried_again(
    one_context: BrowserContext, apps: Apps
) -> None:
    """Its error page loads in the frame as any other page does, and its person is still in."""
    apps.failing = True
    page = use(one_context, apps, "failing", "by-sid")
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    failing = row(page, "failing")
    expect(failing).to_have_attribute("data-state", "dead", timeout=15_000)
    expect(failing).to_contain_text("Answered with an error")
    expect(page.get_by_role("heading", name="1 app did not sign you out")).to_be_visible()
    address = page.url
    assert says(page, apps, "failing") == "signed in"
    page.goto(address)
    expect(failing.get_by_role("button", name="Try again")).to_be_visible(timeout=15_000)
    apps.failing = False
    failing.get_by_role("button", name="Try again").click()
    expect(failing).to_have_attribute("data-state", "delivered", timeout=30_000)
    expect(page.get_by_role("heading", name="You are signed out everywhere")).to_be_visible()
    assert says(page, apps, "failing") == "signed out"


def test_a_hostile_page_in_a_frame_can_do_nothing_outside_of_it(one_context: BrowserContext, apps: Apps) -> None:
    """Navigation of the top, windows, dialogs, downloads, forms to the top, our document."""
    happened: list[str] = []
    page = use(one_context, apps, "hostile", "by-sid")
    page.on("dialog", lambda dialog: (happened.append("dialog"), dialog.dismiss()))
    page.on("popup", lambda _: happened.append("popup"))
    page.on("download", lambda _: happened.append("download"))
    one_context.on("request", lambda request: happened.append(request.url) if "evil" in request.url else None)
    sign_out(page, apps)
    expect(row(page, "hostile")).to_have_attribute("data-state", "loaded")
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    page.wait_for_timeout(1000)
    assert happened == []
    assert page.url.startswith(f"{apps.issuer}logout/")
    assert len(one_context.pages) == 2  # the empty one that the profile opens with


def test_no_application_learns_the_address_of_the_page(one_context: BrowserContext, apps: Apps) -> None:
    """The address is a capability."""
    page = use(one_context, apps, "by-sid")
    apps.requests.clear()
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    ((_, _, headers),) = [request for request in apps.requests if request[1] == "/out"]
    assert "Referer" not in headers
    assert headers["Sec-Fetch-Dest"] == "iframe"
    assert headers["Sec-Fetch-Site"] == "cross-site"


def test_going_back_after_signing_out_shows_nothing_of_the_person(one_context: BrowserContext, apps: Apps) -> None:
    """The back button, and what a browser keeps of a page to show it again at once."""
    page = use(one_context, apps, "by-sid")
    page.goto(apps.issuer)
    expect(page.get_by_text(MARY).first).to_be_visible()
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    page.go_back()
    page.wait_for_load_state()
    expect(page.get_by_text(MARY)).to_have_count(0)


def test_nothing_in_the_address_or_the_window_s_name_becomes_part_of_the_page(
    one_context: BrowserContext, apps: Apps
) -> None:
    payload = "<img src=x onerror=\"document.body.dataset.owned='yes'\">"
    page = use(one_context, apps, "by-sid")
    page.evaluate("(payload) => { window.name = payload; }", payload)
    sign_out(page, apps)
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    page.goto(f"{page.url}#{payload}")
    page.reload()
    expect(row(page, "by-sid")).to_have_attribute("data-state", "delivered")
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.body.dataset.owned") is None
