"""Debian's SimpleSAMLphp as a service provider: it reads our metadata, and an application of two lines stands behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rps.running import MARY
from tests.rps.saml.person import Person
from tests.rps.saml.providers import MAIL, SIMPLE, Providers, entity
from tests.support.upstreams.simplesaml import CONFIGURATION, INSTALLED, REDIRECT, SimpleSaml

pytestmark = pytest.mark.once
SOURCES = "<?php $config = ['default-sp' => json_decode(file_get_contents('%s/provider.json'), true)];"
APPLICATION = """<?php
require '/usr/share/simplesamlphp/lib/_autoload.php';
$auth = new \\SimpleSAML\\Auth\\Simple('default-sp');
if (isset($_GET['leave'])) { $auth->logout('%(home)s/bye.html'); }
$auth->requireAuth();
header('Content-Type: application/json');
echo json_encode($auth->getAttributes());
"""


class SimpleSamlProvider(SimpleSaml):
    """The other half of it, at the port that is registered."""

    def __init__(self, folder: Path, home: str, entity_id: str, idp: str) -> None:
        self.folder, self.host, self.port = folder, "localhost", int(home.rpartition(":")[2])
        self.base = f"{home}/simplesaml/"
        self.metadata_url = f"{self.base}module.php/saml/sp/metadata.php/default-sp"
        for name in ("config", "data", "log", "tmp", "sess", "doc"):
            (folder / name).mkdir(parents=True)
        (folder / "doc" / "simplesaml").symlink_to(INSTALLED / "www")
        (folder / "doc" / "app.php").write_text(APPLICATION % {"home": home})
        (folder / "doc" / "bye.html").write_text("signed out")
        (folder / "config" / "config.php").write_text(CONFIGURATION % {"folder": folder})
        (folder / "config" / "authsources.php").write_text(SOURCES % folder)
        (folder / "config.json").write_text(json.dumps(self._settings()))
        (folder / "provider.json").write_text(json.dumps(self._provider(entity_id, idp)))
        self.process = self._start()

    def _settings(self) -> dict[str, Any]:
        return {
            **super()._settings(),
            "certdir": f"{self.folder}/",
            "metadata.sources": [{"type": "xml", "file": f"{self.folder}/idp.xml"}],
            "module.enable": {"core": True, "saml": True},
            "enable.saml20-idp": False,
            "enable.adfs-idp": False,
        }

    def _provider(self, entity_id: str, idp: str) -> dict[str, Any]:
        return {
            "0": "saml:SP",
            "entityID": entity_id,
            "idp": idp,
            "privatekey": "sp.key",
            "certificate": "sp.crt",
            "sign.authnrequest": True,
            "sign.logout": True,
            "redirect.validate": True,
            "WantAssertionsSigned": True,
            "SingleLogoutServiceBinding": [REDIRECT],
        }


@pytest.fixture(scope="module")
def place(providers: Providers) -> Iterator[str]:
    folder, home = providers.furnish(SIMPLE), providers.url(SIMPLE)
    running = SimpleSamlProvider(folder, home, entity(SIMPLE, providers.ports), providers.idp)
    yield home
    running.stop()


def sign_in(person: Person, place: str) -> None:
    page = person.signs_in(person.opens(f"{place}/app.php"))
    assert page.json() == {MAIL: [MARY]}
    assert not person.is_led_away(f"{place}/app.php")


def test_its_metadata_are_what_an_import_reads(providers: Providers, place: str) -> None:
    providers.describes(SIMPLE, f"{place}/simplesaml/module.php/saml/sp/metadata.php/default-sp")


def test_a_sign_out_at_curfew_reaches_it_in_a_frame(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{providers.issuer}v2/logout")
    person.loads_frames(page)
    assert person.rows(page) == {SIMPLE: "delivered"}
    assert person.is_led_away(f"{place}/app.php")


def test_its_own_logout_ends_both_sessions_and_it_believes_the_answer(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{place}/app.php?leave")
    assert (page.url, page.text) == (f"{place}/bye.html", "signed out")
    assert "username" in person.opens(f"{place}/app.php").text
