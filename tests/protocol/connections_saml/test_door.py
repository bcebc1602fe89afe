"""The assertion consumer service and our metadata over HTTP: `/login/callback/{connection}`, `/samlp/{connection}/metadata`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import etree

from idp.models import Application, Connection, Identity
from idp.saml.own_key import own_key
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.protocol.connections_saml.conftest import ACS, Way
from tests.protocol.connections_saml.requests import request_of
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_saml import NAMES

BACK = "/authorize?client_id=jwt-debugger&response_type=code&redirect_uri=https%3A%2F%2Fjwt-debugger.example%2Fcallback&scope=openid"


def _depart(client: Client, **query: str) -> tuple[Any, str]:
    """Our request and its RelayState."""
    response = client.get("/login/upstream/Acme", {"next": BACK, **query})
    assert response.status_code == 303, response.content
    parameters = parse_qs(urlsplit(response.headers["Location"]).query)
    return request_of(parameters["SAMLRequest"][0]), parameters["RelayState"][0]


def _post(client: Client, answer: str, state: str, **more: str) -> HttpResponse:
    """The form of the identity provider's page."""
    form = urlencode({"SAMLResponse": answer, "RelayState": state, **more})
    return client.post(urlsplit(ACS).path, form, content_type="application/x-www-form-urlencoded")


def test_a_browser_is_signed_in_by_a_response_to_its_request(way: Way, app: Application, client: Client) -> None:
    """The positive control of SAM, by HTTP."""
    asked, state = _depart(client)
    response = _post(client, way.idp.answer(way.says(in_response_to=asked.get("ID"))), state)
    assert response.status_code in (302, 303), response.content
    session = SSOSession.objects.get()
    assert session.user.user_id == "samlp|Acme|mary"
    assert session.upstream_sid == "index-1"
    assert session.upstream["name_id"] == "mary"
    assert session.connection == way.connection


def test_a_response_to_another_browsers_request_is_refused(way: Way, app: Application, client: Client) -> None:
    """Login by a stranger's answer, also with switched-on IdP-initiated sign-in."""
    asked, state = _depart(client)
    answer = way.idp.answer(way.says(in_response_to=asked.get("ID")))
    assert _post(Client(), answer, state, curfew_reposted="1").status_code == 400
    way.configure(idpinitiated={"enabled": True, "client_id": "jwt-debugger"})
    assert _post(Client(), answer, "", curfew_reposted="1").status_code == 400
    assert SSOSession.objects.count() == 0


def test_the_same_response_signs_in_once(way: Way, app: Application, client: Client) -> None:
    asked, state = _depart(client)
    answer = way.idp.answer(way.says(in_response_to=asked.get("ID")))
    assert _post(client, answer, state).status_code in (302, 303)
    assert "You are being taken on." in _post(client, answer, state).content.decode()  # pressed twice, or gone back
    assert _post(Client(), answer, state, curfew_reposted="1").status_code == 400
    assert SSOSession.objects.count() == 1
    assert client.post(reverse("account_logout")).status_code in (200, 303)
    assert _post(client, answer, state).status_code == 400
    assert not SSOSession.objects.filter(ended_at=None).exists()


def _unasked(way: Way, state: str = "") -> HttpResponse:
    answer = way.idp.answer(way.says(in_response_to=None))
    return _post(Client(), answer, state, curfew_reposted="1")


@pytest.mark.parametrize("kind", ["off", "disabled", "not for this application", "of another strategy"])
def test_unasked_responses_need_a_usable_connection(way: Way, app: Application, kind: str) -> None:
    if kind != "off":
        way.configure(idpinitiated={"enabled": True, "client_id": "jwt-debugger"})
    changes: dict[str, dict[str, Any]] = {
        "disabled": {"enabled": False},
        "not for this application": {"enabled_for_all": False},
        "of another strategy": {"strategy": "auth0"},
    }
    Connection.objects.filter(pk=way.connection.pk).update(**changes.get(kind, {"enabled": True}))
    configuration.bump()
    assert _unasked(way).status_code == 400
    assert SSOSession.objects.count() == 0
    assert Identity.objects.count() == 0


@pytest.mark.parametrize("state", ["", "https://evil.example/", "javascript:alert(1)", "/admin/", "x" * 5000])
def test_an_unasked_response_leads_where_the_administrator_said(way: Way, app: Application, state: str) -> None:
    """RelayState of an identity provider is never an address."""
    query = "response_type=code&scope=openid&redirect_uri=https://jwt-debugger.example/callback"
    way.configure(idpinitiated={"enabled": True, "client_id": "jwt-debugger", "client_authorizequery": query})
    response = _unasked(way, state)
    place = response.headers.get("Location") or str(response.context["url"])
    assert urlsplit(place).netloc in ("", "localhost:8000")
    assert urlsplit(place).path == "/authorize"
    assert parse_qs(urlsplit(place).query)["client_id"] == ["jwt-debugger"]
    assert SSOSession.objects.count() == 1


def test_a_get_is_no_answer(way: Way, client: Client) -> None:
    assert client.get(urlsplit(ACS).path, {"SAMLResponse": "x"}).status_code == 405


def test_what_is_too_large_is_refused_unread(way: Way, client: Client) -> None:
    """20 MB."""
    assert _post(client, "A" * 20_000_000, "").status_code == 413


@pytest.mark.parametrize("strategy", ["samlp", "adfs"])
@pytest.mark.spec("SAML 2.0", "metadata 2.4.4", "SP3 The service provider publishes its endpoints, keys and demands")
def test_our_metadata_say_what_an_identity_provider_needs(way: Way, client: Client, strategy: str) -> None:
    connection = make_connection("Fabrikam", strategy, options={"protocol": "samlp"}, enabled=False)
    response = client.get("/samlp/Fabrikam/metadata")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/samlmetadata+xml"
    root = etree.fromstring(response.content)
    role = root.find("md:SPSSODescriptor", NAMES)
    assert root.get("entityID") == "http://localhost:8000/samlp/Fabrikam/metadata"
    assert role.get("WantAssertionsSigned") == "true"
    assert role.get("AuthnRequestsSigned") == "false"
    assert (
        role.find("md:AssertionConsumerService", NAMES).get("Location")
        == f"http://localhost:8000/login/callback/{connection.name}"
    )
    assert role.find("md:SingleLogoutService", NAMES).get("Location") == "http://localhost:8000/samlp/Fabrikam/slo"
    certificates = {e.text for e in role.iterfind(".//ds:X509Certificate", NAMES)}
    assert certificates == {"".join(own_key(timezone.now()).certificate_pem.split("-----")[2].split())}


def test_our_entity_id_may_be_chosen(way: Way, client: Client) -> None:
    way.configure(entityId="urn:acme:curfew", disableSignout=True, signSAMLRequest=True)
    root = etree.fromstring(client.get("/samlp/Acme/metadata").content)
    assert root.get("entityID") == "urn:acme:curfew"
    assert root.find(".//md:SingleLogoutService", NAMES) is None
    assert root.find("md:SPSSODescriptor", NAMES).get("AuthnRequestsSigned") == "true"
    asked, _ = _depart(client)
    assert asked.findtext("saml:Issuer", namespaces=NAMES) == "urn:acme:curfew"


@pytest.mark.parametrize(("name", "options"), [("FabrikamAD", {}), ("Entra", {"protocol": "oidc"}), ("Nobody", None)])
def test_only_saml_connections_have_metadata(
    way: Way, client: Client, name: str, options: dict[str, str] | None
) -> None:
    if options is not None:
        make_connection(name, "adfs" if options else "auth0", options=options)
    assert client.get(f"/samlp/{name}/metadata").status_code == 404


def test_our_key_is_made_once(way: Way, client: Client) -> None:
    first = client.get("/samlp/Acme/metadata").content
    assert client.get("/samlp/Acme/metadata").content == first
