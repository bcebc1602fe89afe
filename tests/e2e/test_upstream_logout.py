"""Sign-out across the federation, with real OpenID providers upstream: out to them, and in from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.e2e.mary import DEBUGGER, is_signed_in
from tests.e2e.test_openid_providers import go_upstream, type_name
from tests.support.receiver import wait_until
from tests.support.stack import Stack
from tests.support.upstreams import oidc
from tests.support.upstreams.oidc import MARY, Kind, OidcProvider
from tests.support.upstreams.scripted_oidc import SECRET

CLIENT_ID = "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55"  # JWT Debugger


def name_of(kind: Kind) -> str:
    """A connection keeps its strategy for ever."""
    return f"Partner-{kind.strategy}"


@contextmanager
def partner(stack: Stack, folder: Path, kind: Kind, **client: object) -> Iterator[OidcProvider]:
    """The provider, which knows where we take sign-outs, and a connection of the demo to it; closed afterwards."""
    upstream = OidcProvider(
        folder,
        kind,
        redirect_uri=f"{stack.issuer}login/callback",
        logout_uri=f"{stack.issuer}logout/callback",
        **client,
    )
    with upstream:
        entry = {"name": name_of(kind), "strategy": kind.strategy, "display_name": kind.title}
        options = {**upstream.options, "client_secret": SECRET}
        apply(stack, {**entry, "options": options, "enabled": True})
        yield upstream
        apply(stack, {**entry, "enabled": False})


def apply(stack: Stack, connection: dict[str, object]) -> None:
    file = stack.data / "partner.yaml"
    file.write_text(yaml.safe_dump({"connections": [connection]}))
    stack.run("apply", str(file))


def sign_in(page: Page, stack: Stack, kind: Kind) -> None:
    go_upstream(page, stack, kind)
    type_name(page, kind, MARY)
    page.wait_for_url(stack.app(DEBUGGER))
    assert is_signed_in(page)


def confirm_upstream(page: Page, upstream: OidcProvider) -> None:
    """The provider asks too; its first button says yes."""
    page.wait_for_url(re.compile(f"^{re.escape(upstream.origin)}/"))
    page.get_by_role("button").first.click()


def is_known_upstream(page: Page, stack: Stack, kind: Kind) -> bool:
    """Whether a new sign-in there asks nothing."""
    page.goto(f"{stack.issuer}login/upstream/{name_of(kind)}")
    return page.get_by_role("heading", name=kind.title).count() == 0


@pytest.mark.parametrize("major", [9, 6])
def test_federated_leads_over_the_upstream_and_back_to_the_application(
    stack: Stack, page: Page, tmp_path: Path, major: int
) -> None:
    kind = oidc.generic(major)
    with partner(stack, tmp_path, kind) as upstream:
        sign_in(page, stack, kind)
        page.goto(f"{stack.issuer}v2/logout?client_id={CLIENT_ID}&federated")
        page.wait_for_url(re.compile("/logout/"))
        expect(page.get_by_text("You are taken there next")).to_be_visible()
        page.get_by_role("link", name="Continue").click()
        confirm_upstream(page, upstream)
        page.wait_for_url(re.compile(f"^{re.escape(stack.app(DEBUGGER))}"))
        assert not is_signed_in(page)
        assert not is_known_upstream(page, stack, kind)


def test_mary_leaves_the_upstream_too_although_nobody_asked_for_it(stack: Stack, page: Page, tmp_path: Path) -> None:
    kind = oidc.okta()
    with partner(stack, tmp_path, kind) as upstream:
        sign_in(page, stack, kind)
        page.goto(f"{stack.issuer}oidc/logout")
        page.get_by_role("button", name="Sign out").click()
        row = page.locator("[data-upstream]")
        expect(row).to_contain_text("You are still signed in there")
        row.get_by_role("link", name="Sign out there too").click()
        confirm_upstream(page, upstream)
        expect(page.locator("[data-upstream]")).to_contain_text("Signed out")
        assert not is_known_upstream(page, stack, kind)


def test_an_upstream_that_does_not_come_back_leaves_mary_signed_out_here(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    kind = oidc.generic()
    with partner(stack, tmp_path, kind) as upstream:
        sign_in(page, stack, kind)
        page.goto(f"{stack.issuer}v2/logout?client_id={CLIENT_ID}&federated")
        sign_out_page = page.url
        page.get_by_role("link", name="Continue").click()
        page.wait_for_url(re.compile(f"^{re.escape(upstream.origin)}/"))  # and there she stays
        page.goto(sign_out_page)
        expect(page.locator("[data-upstream]")).to_contain_text("we have not heard whether that worked")
        page.goto(stack.app(DEBUGGER))
        assert not is_signed_in(page)


@pytest.mark.parametrize("major", [pytest.param(9, marks=pytest.mark.both), 6])
def test_a_logout_at_the_upstream_arrives_by_its_back_channel(
    stack: Stack, page: Page, tmp_path: Path, major: int
) -> None:
    kind = oidc.generic(major)
    channel = f"{stack.issuer}backchannel-logout/{name_of(kind)}"
    with partner(
        stack, tmp_path, kind, backchannel_logout_uri=channel, backchannel_logout_session_required=True
    ) as upstream:
        sign_in(page, stack, kind)
        leave_upstream(page, upstream)
        wait_until(lambda: upstream.events(), 10, "the provider told us nothing")
        assert [event["event"] for event in upstream.events()] == ["backchannel.success"]
        assert_mary_is_out(page, stack)


def test_a_logout_at_the_upstream_arrives_by_a_frame(stack: Stack, page: Page, tmp_path: Path) -> None:
    kind = oidc.generic(6)
    frame = f"{stack.issuer}frontchannel-logout/{name_of(kind)}"
    with partner(
        stack, tmp_path, kind, frontchannel_logout_uri=frame, frontchannel_logout_session_required=True
    ) as upstream:
        sign_in(page, stack, kind)
        leave_upstream(page, upstream)
        assert_mary_is_out(page, stack)


def leave_upstream(page: Page, upstream: OidcProvider) -> None:
    page.goto(f"{upstream.issuer}/session/end")
    page.get_by_role("button").first.click()
    page.wait_for_load_state("networkidle")


def assert_mary_is_out(page: Page, stack: Stack) -> None:
    """At Curfew, and in the application, which heard of it."""
    page.goto(stack.issuer)
    expect(page.get_by_text("You are not signed in on this device.")).to_be_visible()
    page.goto(stack.app(DEBUGGER))
    wait_until(lambda: page.reload() is not None and not is_signed_in(page), 10, "the application was not told")
