"""ssodata asked by a page on another site, with the cookies that a browser really sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rps.running import curfew, page_application, sign_in, tenant_of
from tests.support.chromium import profile
from tests.support.sites import certificate_for, empty_site

pytestmark = pytest.mark.once
ASK = """async (url) => (await fetch(url, { credentials: "include" })).json()"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The https issuer, and the origin of an application on another site."""
    folder = tmp_path_factory.mktemp("ssodata")
    with empty_site() as port:
        origin = f"http://app.localhost:{port}"
        application = page_application("app", origin, "/")
        with curfew(folder, tenant_of(application), tls=certificate_for("id.localhost", folder)) as issuer:
            yield issuer, origin


@pytest.mark.parametrize("third_party_cookies", [True, False], ids=["allowed", "blocked"])
def test_where_third_party_cookies_are_blocked_it_says_no_and_fails_at_nothing(
    places: tuple[str, str], tmp_path: Path, third_party_cookies: bool
) -> None:
    """The browser keeps our cookie back, so there is no session to tell of, and no error either."""
    issuer, origin = places
    with profile(tmp_path / "profile", third_party_cookies=third_party_cookies) as context:
        page = context.new_page()
        page.goto(f"{issuer}login")
        sign_in(page)
        page.wait_for_url(issuer)
        page.goto(f"{origin}/")
        answer = page.evaluate(ASK, f"{issuer}user/ssodata")
    if third_party_cookies:
        assert answer["sso"] is True
    else:
        assert answer == {"sso": False}
