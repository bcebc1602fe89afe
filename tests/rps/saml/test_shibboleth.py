"""Debian's libapache2-mod-shib with its daemon, unmodified: it checks our signed metadata, and hears of sign-outs by SOAP.

Apache and shibd run from a configuration of their own in a temporary folder; what is under /etc is read only.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from idp.saml.names import SOAP
from tests.rps.conftest import World
from tests.rps.running import MARY, PATIENCE, STARTUP, run_commands
from tests.rps.saml.person import Person
from tests.rps.saml.providers import HERE, MAIL, SHIBBOLETH, Providers, entity
from tests.support.processes import Program
from tests.support.receiver import wait_until
from tests.support.stack import clean_environment

pytestmark = pytest.mark.once
ATTRIBUTES = (
    f"""<Attributes xmlns="urn:mace:shibboleth:2.0:attribute-map"><Attribute name="{MAIL}" id="mail"/></Attributes>"""
)


@pytest.fixture(scope="module")
def place(providers: Providers) -> Iterator[str]:
    folder = providers.furnish(SHIBBOLETH)
    names = {"folder": folder, "entity": entity(SHIBBOLETH, providers.ports), "idp": providers.idp}
    (folder / "shibboleth2.xml").write_text((HERE / "shibboleth2.xml").read_text() % names)
    (folder / "attribute-map.xml").write_text(ATTRIBUTES)
    argv = ["/usr/sbin/shibd", "-F", "-f", "-c", str(folder / "shibboleth2.xml"), "-p", str(folder / "shibd.pid")]
    daemon = Program(argv, clean_environment(), folder / "shibd.log")
    try:
        wait_until((folder / "shibd.sock").exists, STARTUP, f"shibd does not listen: {folder}/shibd.log")
        with providers.apache(SHIBBOLETH):
            yield providers.url(SHIBBOLETH)
    finally:
        daemon.kill()


def sign_in(person: Person, place: str) -> requests.Response:
    page = person.signs_in(person.opens(f"{place}/private/"))
    assert (page.url, page.text) == (f"{place}/private/", "private page")
    return page


def test_its_metadata_are_what_an_import_reads(providers: Providers, place: str) -> None:
    found = providers.describes(SHIBBOLETH, f"{place}/Shibboleth.sso/Metadata")
    assert found.logout[SOAP] == f"{place}/Shibboleth.sso/SLO/SOAP"


@pytest.mark.spec(
    "SAML 2.0", "profiles 4.4.3", "IP6 Who takes part is asked by SOAP, and the answer is of this very request"
)
def test_a_sign_out_at_curfew_reaches_it_by_soap(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    told = person.session.get(f"{place}/Shibboleth.sso/Session", timeout=60).json()
    assert told["attributes"] == [{"name": "mail", "values": [MARY]}]
    assert told["authncontext_class"].endswith(":PasswordProtectedTransport")
    assert not person.is_led_away(f"{place}/private/")
    page = person.opens(f"{providers.issuer}v2/logout")
    wait_until(lambda: person.rows(page) == {SHIBBOLETH: "delivered"}, PATIENCE, "Shibboleth did not confirm")
    assert person.is_led_away(f"{place}/private/")


def test_its_own_logout_ends_both_sessions_and_it_believes_the_answer(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{place}/Shibboleth.sso/Logout")
    assert "Logout completed successfully" in page.text, page.text
    assert "username" in person.opens(f"{place}/private/").text


def test_it_lives_through_a_rotation_of_our_key(world: World, providers: Providers, place: str) -> None:
    """Whoever reads the metadata while both certificates are in them; it believes them by the signature of the key before."""
    run_commands(world.environment, ["rotate_saml_key", "publish"])
    sign_in(providers.person(), place)  # by what it read before
    providers.fetch_metadata(SHIBBOLETH)
    run_commands(world.environment, ["rotate_saml_key", "activate", "--early", "--no-input"])
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{providers.issuer}v2/logout")
    wait_until(lambda: person.rows(page) == {SHIBBOLETH: "delivered"}, PATIENCE, "Shibboleth did not confirm")
    assert person.is_led_away(f"{place}/private/")
