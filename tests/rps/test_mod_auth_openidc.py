"""Debian's libapache2-mod-auth-openidc, unmodified: login, front-channel, back-channel and RP-initiated logout.

Apache runs from a configuration of its own in a temporary folder; what is under /etc is not touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.rps.conftest import World
from tests.rps.running import HERE, PATIENCE, program, sign_in
from tests.support.receiver import wait_until

pytestmark = pytest.mark.once
MODULES = Path("/usr/lib/apache2/modules")
FRONT = "OpenID Connect Front-Channel Logout 1.0"
BACK = "OpenID Connect Back-Channel Logout 1.0"
CALLBACK = "/private/callback"


@pytest.fixture(scope="module", params=["apache-front", "apache-back"])
def places(request: pytest.FixtureRequest, world: World) -> Iterator[tuple[str, str]]:
    name, folder = request.param, world.folder / request.param
    user = _serve(folder)
    env = {**world.env(name), "FOLDER": str(folder), "MODULES": str(MODULES), "RUN_AS": user}
    apache = shutil.which("apache2", path="/usr/sbin:/usr/bin") or "apache2"
    with program([apache, "-DFOREGROUND", "-f", str(HERE / "apache.conf")], env, folder, world.ports[name]):
        yield world.issuer, world.url(name)


def _serve(folder: Path) -> str:
    """Write the pages; returns who is to serve them, because Apache that root starts wants to be somebody else."""
    for path, text in (("htdocs/index.html", "signed out"), ("htdocs/private/index.html", "private page")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005:  # pytest's folders are its own user's
            each.chmod(0o755)
    return "www-data"


def log_in(page: Page, base: str) -> None:
    page.goto(f"{base}/private/")
    sign_in(page)
    page.wait_for_url(f"{base}/**")
    assert (page.url, page.inner_text("body")) == (f"{base}/private/", "private page")


def is_signed_in(page: Page, base: str) -> bool:
    """Whether Apache still serves the page to the cookie that the browser has: no redirect is followed."""
    return page.request.get(f"{base}/private/", max_redirects=0).status == 200


@pytest.mark.spec(FRONT, "2", "F4 the page frames the application, which ends its session")
@pytest.mark.spec(BACK, "2.5", "B10 the logout token reaches the application, which ends its session")
def test_signing_out_at_curfew_ends_the_session_at_apache(places: tuple[str, str], page: Page) -> None:
    issuer, base = places
    log_in(page, base)
    assert is_signed_in(page, base)
    page.goto(f"{issuer}v2/logout")
    wait_until(lambda: not is_signed_in(page, base), PATIENCE, "Apache still believes that Mary is there")


@pytest.mark.spec("OpenID Connect RP-Initiated Logout 1.0", "2", "R9 back to exactly the registered URI")
def test_its_own_logout_ends_both_sessions(places: tuple[str, str], page: Page) -> None:
    _, base = places
    log_in(page, base)
    page.goto(f"{base}{CALLBACK}?logout={base}/")
    page.wait_for_url(f"{base}/")
    assert page.inner_text("body") == "signed out"
    page.goto(f"{base}/private/?again")  # the page itself the browser may keep: Apache says nothing against it
    assert page.locator("input[name=password]").is_visible()
