"""What the forms of SAML, ADFS and directories say of signatures and addresses is what the connection then does."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from idp.connections.saml import options
from idp.models import Connection
from idp.saml.signed import Wanted
from tests.protocol.admin.test_connections import change_url, errors_of, shown
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_saml import ScriptedIdp

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def saml() -> Connection:
    return make_connection("Acme", "samlp", options={"metadataXml": ScriptedIdp().metadata()})


def _save(admin: Client, connection: Connection, **changes: Any) -> Connection:
    url = change_url(connection)
    response = admin.post(url, {**shown(admin, url), **changes})
    assert response.status_code == 302, errors_of(response)
    connection.refresh_from_db()
    return connection


@pytest.mark.parametrize("wanted", ["response", "assertion", "both"])
def test_what_must_be_signed_is_chosen_in_the_form(admin: Client, saml: Connection, wanted: str) -> None:
    assert _save(admin, saml, wants_signed=wanted).options["wants_signed"] == wanted
    assert options.read("samlp", saml.options).wants_signed == wanted
    assert "wants_signed" not in _save(admin, saml, wants_signed="").options
    assert options.read("samlp", saml.options).wants_signed == Wanted.EITHER


def test_the_usual_choice_by_name_is_shown_as_the_usual_one(admin: Client, saml: Connection) -> None:
    saml.options = {**saml.options, "wants_signed": "either"}
    saml.save()
    assert options.read("samlp", _save(admin, saml).options).wants_signed == Wanted.EITHER


def test_an_unknown_choice_is_refused_by_name() -> None:
    given = {"metadataXml": ScriptedIdp().metadata(), "wants_signed": "neither"}
    assert any(problem.startswith("wants_signed: must be") for problem in options.problems("samlp", given))


@pytest.mark.parametrize(
    ("strategy", "given"),
    [
        ("samlp", {"metadataXml": ScriptedIdp().metadata()}),
        ("ad", {"servers": ["ldaps://dc1.fabrikamcorp.com"], "base_dn": "dc=fabrikamcorp,dc=com"}),
        ("oidc", {"discovery_url": "https://op.example/.well-known/openid-configuration", "client_id": "x"}),
    ],
)
def test_the_switch_for_addresses_is_in_the_form(admin: Client, strategy: str, given: dict[str, Any]) -> None:
    connection = make_connection("Acme", strategy, options=given)
    if strategy == "oidc":
        connection.options = {**given, "token_endpoint_auth_method": "none"}
        connection.save()
    assert _save(admin, connection, email_is_verified="on").options["email_is_verified"] is True


def test_adfs_by_saml_keeps_everything_that_its_form_shows(admin: Client) -> None:
    """Certificates, mapping and sign-out address had fields that were shown to nobody, and a page of papers that named them."""
    idp = ScriptedIdp()
    connection = make_connection("Adfs", "adfs", options={"protocol": "samlp", "fedMetadataXml": idp.metadata()})
    saved = _save(
        admin,
        connection,
        signingCert=idp.key.certificate,
        signOutEndpoint="https://adfs.example/adfs/ls/",
        fieldsMap='{"email_verified": "mailVerified"}',
        wants_signed="assertion",
    ).options
    assert saved["signOutEndpoint"] == "https://adfs.example/adfs/ls/"
    assert saved["fieldsMap"] == {"email_verified": "mailVerified"}
    read = options.read("adfs", saved)
    assert read.wants_signed == Wanted.ASSERTION
    assert len(read.signing_certificates) == 1
