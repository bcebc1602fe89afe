"""Mary signs in to a demo application through each kind of OpenID provider, in a browser; and what she sees when it fails."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import yaml
from playwright.sync_api import Page, expect

from tests.e2e.mary import DEBUGGER, is_signed_in, join
from tests.support.stack import Stack
from tests.support.upstreams import oidc
from tests.support.upstreams.oidc import EVE, REFUSAL, Kind, OidcProvider
from tests.support.upstreams.scripted_oidc import SECRET

NAME = "Corporate"
# What differs between them is what they say, not what we keep of it: one shows that both forms of Curfew keep it.
KINDS = [
    pytest.param(kind, marks=pytest.mark.both if kind.strategy == "oidc" else ())
    for kind in (make() for make in oidc.KINDS)
]
KINDS += [oidc.generic(6)]
WITHIN = 8.0  # seconds; five for the upstream, the rest for a browser on a busy machine


@contextmanager
def offered(stack: Stack, folder: Path, kind: Kind) -> Iterator[OidcProvider]:
    """The provider, and a connection of the demo to it; closed afterwards."""
    with OidcProvider(folder, kind, redirect_uri=f"{stack.issuer}login/callback") as upstream:
        options = {**upstream.options, "client_secret": SECRET}
        entry: dict[str, Any] = {"name": f"{NAME}-{kind.strategy}", "strategy": kind.strategy, "options": options}
        file = stack.data / "openid.yaml"
        file.write_text(yaml.safe_dump({"connections": [{**entry, "display_name": kind.title, "enabled": True}]}))
        stack.run("apply", str(file))
        yield upstream
        file.write_text(yaml.safe_dump({"connections": [{**entry, "enabled": False}]}))
        stack.run("apply", str(file))


def go_upstream(page: Page, stack: Stack, kind: Kind) -> None:
    """From the application to the form of the provider."""
    page.goto(stack.app(DEBUGGER))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.get_by_role("link", name=f"Continue with {kind.title}").click()


def type_name(page: Page, kind: Kind, login: str) -> None:
    expect(page.get_by_role("heading", name=kind.title)).to_be_visible()
    page.locator("[name=login]").fill(login)
    page.locator("[name=password]").fill("any")
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.title} {kind.major}")
def test_mary_signs_in_through_her_own_provider(stack: Stack, page: Page, tmp_path: Path, kind: Kind) -> None:
    with offered(stack, tmp_path, kind):
        go_upstream(page, stack, kind)
        type_name(page, kind, oidc.MARY)
        page.wait_for_url(stack.app(DEBUGGER))
        expect(page.get_by_text("mary@fabrikam").first).to_be_visible()
        assert ssodata(page, stack)["lastUsedConnection"] == {
            "name": f"{NAME}-{kind.strategy}",
            "strategy": kind.strategy,
        }
        join(page, stack, 1)


def ssodata(page: Page, stack: Stack) -> dict[str, Any]:
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(stack.issuer)}
    found: dict[str, Any] = requests.get(f"{stack.issuer}user/ssodata", cookies=cookies, timeout=5).json()
    return found


def test_somebody_who_is_not_assigned_reads_why_and_finds_a_way_back(stack: Stack, page: Page, tmp_path: Path) -> None:
    kind = oidc.okta()
    with offered(stack, tmp_path, kind):
        go_upstream(page, stack, kind)
        type_name(page, kind, EVE)
        expect(page.get_by_role("alert")).to_have_text(f"Okta says: {REFUSAL}")
        page.get_by_role("link", name=re.compile("^Back to ")).click()
        page.wait_for_url(re.compile(re.escape(stack.app(DEBUGGER))))
        assert not is_signed_in(page)


def test_a_provider_that_is_away_or_hangs_is_a_page_in_time(stack: Stack, page: Page, tmp_path: Path) -> None:
    """Its discovery document is fresh: it is the exchange of the code that finds nobody."""
    kind = oidc.generic()
    with offered(stack, tmp_path, kind) as upstream:
        for trouble, end in ((upstream.program.pause, upstream.program.resume), (upstream.stop, upstream.start)):
            with page.expect_request(re.compile(f"^{upstream.origin}/auth\\?")) as asked:
                page.goto(
                    f"{stack.issuer}login/upstream/{NAME}-oidc?anyway=1"
                )  # it is known to be away, the second time
            state = dict(parse_qsl(urlsplit(asked.value.url).query))["state"]
            trouble()
            began = time.monotonic()
            page.goto(f"{stack.issuer}login/callback?code=c&state={state}&iss={upstream.issuer}")
            assert time.monotonic() - began < WITHIN
            expect(page.get_by_role("alert")).to_contain_text("does not work at the moment")
            end()
        page.get_by_role("link", name="Try again").click()
        if (anyway := page.get_by_role("link", name="Try it anyway")).is_visible():  # nobody has found out yet
            anyway.click()
        type_name(page, kind, oidc.MARY)
        expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
