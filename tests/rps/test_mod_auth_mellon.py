"""Debian's libapache2-mod-auth-mellon, unmodified: sign-in, a sign-out of either side's, told by SOAP."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.rps.conftest import MELLON_KEY, World
from tests.rps.running import HERE, PATIENCE, program
from tests.rps.test_mod_auth_openidc import MODULES, _serve, is_signed_in, log_in
from tests.support.receiver import wait_until

pytestmark = pytest.mark.once
NAME = "apache-mellon"


@pytest.fixture(scope="module")
def mellon(world: World) -> Iterator[tuple[str, str]]:
    folder = world.folder / NAME
    user = _serve(folder)
    (folder / "sp.key").write_text(MELLON_KEY.private)
    (folder / "sp.cert").write_text(MELLON_KEY.certificate)
    with urllib.request.urlopen(f"{world.issuer}samlp/metadata/{NAME}") as metadata:
        (folder / "idp.xml").write_bytes(metadata.read())
    env = {**world.env(NAME), "FOLDER": str(folder), "MODULES": str(MODULES), "RUN_AS": user}
    apache = shutil.which("apache2", path="/usr/sbin:/usr/bin") or "apache2"
    with program([apache, "-DFOREGROUND", "-f", str(HERE / "apache_mellon.conf")], env, folder, world.ports[NAME]):
        yield world.issuer, world.url(NAME)


def test_signing_out_at_curfew_ends_the_session_at_apache(mellon: tuple[str, str], page: Page) -> None:
    issuer, base = mellon
    log_in(page, base)
    assert is_signed_in(page, base)
    page.goto(f"{issuer}v2/logout")
    wait_until(lambda: not is_signed_in(page, base), PATIENCE, "Apache still believes that Mary is there")
    page.wait_for_selector("[data-app][data-state=delivered]")


def test_its_own_logout_ends_both_sessions(mellon: tuple[str, str], page: Page) -> None:
    issuer, base = mellon
    log_in(page, base)
    page.goto(f"{base}/mellon/logout?ReturnTo={base}/")
    page.wait_for_url(f"{base}/")
    assert page.inner_text("body") == "signed out"
    assert not is_signed_in(page, base)
    page.goto(f"{base}/private/")
    assert page.locator("input[name=password]").is_visible()
    assert page.url.startswith(issuer)
