"""Go's oauth2-proxy, unmodified: whom it lets in by our `groups`, and what it thinks of addresses that are not verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.rps.conftest import NEWCOMER, World
from tests.rps.running import MARY, program, sign_in
from tests.support.go_program import built

pytestmark = pytest.mark.once
MODULE = "github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6"
CORE = "OpenID Connect Core 1.0"


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(MODULE, tmp_path_factory.mktemp("oauth2-proxy"))


@contextmanager
def proxy(binary: Path, world: World, name: str, *options: str) -> Iterator[str]:
    """In front of a page that says "Authenticated"; configured as its documentation has it for any OpenID provider."""
    env = world.env(name)
    argv = [
        str(binary),
        "--provider=oidc",
        f"--oidc-issuer-url={env['ISSUER']}",
        f"--client-id={env['CLIENT_ID']}",
        f"--client-secret={env['CLIENT_SECRET']}",
        f"--redirect-url={world.url(name)}/oauth2/callback",
        f"--http-address=127.0.0.1:{env['PORT']}",
        "--scope=openid email profile groups",
        "--code-challenge-method=S256",
        "--email-domain=*",
        "--upstream=static://200",
        "--skip-provider-button",
        "--cookie-secure=false",
        "--cookie-secret=0123456789abcdef0123456789abcdef",
        *options,
    ]
    with program(argv, {}, world.folder, world.ports[name]):
        yield world.url(name)


def log_in(page: Page, base: str, who: str = MARY) -> int:
    """The status of the page in the end, which is the proxy's answer to our code."""
    page.goto(f"{base}/")
    with page.expect_navigation(url=f"{base}/**") as arrival:
        sign_in(page, who)
    return int(arrival.value.status) if arrival.value else 0


@pytest.mark.spec(CORE, "5.4", "The scope groups tells oauth2-proxy who belongs to what")
def test_it_lets_the_people_of_its_group_in_and_hands_their_groups_on(binary: Path, world: World, page: Page) -> None:
    with proxy(binary, world, "proxy-staff", "--allowed-group=staff") as base:
        assert log_in(page, base) == 200
        assert page.inner_text("body") == "Authenticated"
        told = json.loads(page.goto(f"{base}/oauth2/userinfo").text())  # type: ignore[union-attr]
        assert (told["email"], sorted(told["groups"])) == (MARY, ["everyone", "staff"])


def test_it_refuses_whoever_is_in_none_of_its_groups(binary: Path, world: World, page: Page) -> None:
    with proxy(binary, world, "proxy-admins", "--allowed-group=admins") as base:
        assert log_in(page, base) == 403


def test_it_refuses_an_address_that_is_not_verified_unless_it_is_told_otherwise(
    binary: Path, world: World, page: Page
) -> None:
    """`ErrEmailNotVerified` in `providers/provider_data.go`: `email_verified` is there and false."""
    with proxy(binary, world, "proxy-staff", "--allowed-group=staff") as base:
        assert log_in(page, base, NEWCOMER) >= 400
        assert page.goto(f"{base}/oauth2/userinfo").status == 401  # type: ignore[union-attr]
    with proxy(binary, world, "proxy-staff", "--insecure-oidc-allow-unverified-email") as base:
        page.goto(f"{base}/")  # single sign-on
        assert page.inner_text("body") == "Authenticated"
