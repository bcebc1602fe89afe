"""The demo's application that speaks SAML: what it is told by SOAP, and what it believes."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from examples.demo_app import service_provider
from examples.demo_app.saml_app import SamlApp
from examples.demo_app.service_provider import ServiceProvider
from examples.demo_app.sessions import Session
from examples.web import Request
from idp.operations import demo
from idp.saml import logout_messages, signing, soap
from idp.saml.names import METADATA, PROTOCOL, REDIRECT
from idp.saml.own_key import OwnKey
from tests.support.upstreams.scripted_saml import Key, the_key

HOME, US = "http://localhost:9002/", "urn:localhost:9000"
NAME = {"name_id": "mary", "name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"}
OURS, NEXT, STRANGER = the_key("idp.example"), the_key("next.example"), the_key("attacker.example")


def metadata(*keys: Key) -> bytes:
    descriptors = "".join(
        f'<KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>{OneLogin_Saml2_Utils.format_cert(key.certificate, False)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></KeyDescriptor>"
        for key in keys
    )
    return (
        f'<EntityDescriptor xmlns="{METADATA}" entityID="{US}"><IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL}">'
        f'{descriptors}<SingleSignOnService Binding="{REDIRECT}" Location="http://localhost:9000/samlp/x"/>'
        "</IDPSSODescriptor></EntityDescriptor>"
    ).encode()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """The keys in the identity provider's metadata."""
    keys = [OURS]

    def get(url: str, **_: Any) -> Any:
        return SimpleNamespace(content=metadata(*keys), raise_for_status=lambda: None)

    monkeypatch.setattr(service_provider.requests, "get", get)
    return keys


@pytest.fixture
def app(published: list[Key]) -> SamlApp:
    pair = demo._key_pair()
    keys = pair[demo.SAML_KEY], pair[demo.SAML_CERTIFICATE]
    return SamlApp("sharepoint", ServiceProvider(HOME, "http://localhost:9000/metadata", *keys), {})


def signed_in(app: SamlApp, index: str = "_one", name: str = "mary") -> str:
    return app.store.open(Session({"sub": name, "sid": index}, "", None))


def message(
    *, index: str = "_one", issuer: str = US, address: str = f"{HOME}slo/soap", age: timedelta = timedelta(0)
) -> bytes:
    return logout_messages.logout_request(issuer, address, NAME, index, timezone.now() - age)[1]


def sealed(request: bytes, key: Key = OURS) -> bytes:
    return signing.signed(request, OwnKey(key.private, key.certificate))


def post(app: SamlApp, request: bytes) -> Any:
    body = soap.envelope(request).decode()
    return app.answer(Request("POST", "/slo/soap", {}, {}, {}, "", body=body))


def test_a_logout_request_ends_the_session_of_its_index_and_the_answer_says_so(app: SamlApp) -> None:
    mine, other = signed_in(app), signed_in(app, "_two")
    answer = post(app, sealed(message()))
    assert app.store.get(mine) is None
    assert app.store.get(other) is not None
    response = etree.fromstring(soap.opened(answer.body.encode()))
    assert response.tag.endswith("LogoutResponse")
    assert [code.get("Value").rpartition(":")[2] for code in response.iter("{*}StatusCode")] == ["Success"]


def test_without_an_index_every_session_of_the_name_ends(app: SamlApp) -> None:
    mine, other, somebodys = signed_in(app), signed_in(app, "_two"), signed_in(app, "_three", "ben")
    assert post(app, sealed(message(index=""))).status == "200 OK"
    assert [app.store.get(key) is None for key in (mine, other, somebodys)] == [True, True, False]


def test_a_key_that_was_published_since_is_believed(app: SamlApp, published: list[Key]) -> None:
    mine = signed_in(app)
    app.provider._known()
    published[:] = [NEXT, OURS]
    assert post(app, sealed(message(), NEXT)).status == "200 OK"
    assert app.store.get(mine) is None


def wrapped() -> bytes:
    """A signature over somebody else's message, moved into this one."""
    theirs, evil = etree.fromstring(sealed(message(index="_theirs"))), etree.fromstring(message())
    evil.insert(1, theirs.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    evil.append(theirs)
    return bytes(etree.tostring(evil))


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(message, id="unsigned"),
        pytest.param(lambda: sealed(message(), STRANGER), id="another key"),
        pytest.param(lambda: sealed(message()).replace(b"_one", b"_two"), id="changed"),
        pytest.param(wrapped, id="wrapped"),
        pytest.param(lambda: sealed(message(issuer="urn:other")), id="another issuer"),
        pytest.param(lambda: sealed(message(address="http://localhost:9003/slo/soap")), id="another destination"),
        pytest.param(lambda: sealed(message(age=timedelta(hours=1))), id="expired"),
        pytest.param(lambda: b"<no/>", id="no message"),
        pytest.param(lambda: b"", id="nothing"),
    ],
)
def test_what_cannot_be_believed_ends_nothing(app: SamlApp, request_of: Any) -> None:
    mine, two = signed_in(app), signed_in(app, "_two")
    assert post(app, request_of()).status == "400 Bad Request"
    assert app.store.get(mine) is not None
    assert app.store.get(two) is not None


@pytest.mark.parametrize("said", ["x", "YQ", "\u00e9", "%21", "__7__g"])
def test_what_is_no_message_at_all_is_a_page_and_no_fault(app: SamlApp, said: str) -> None:
    for method, path, name in (
        ("GET", "/slo", "SAMLRequest"),
        ("GET", "/slo", "SAMLResponse"),
        ("POST", "/acs", "SAMLResponse"),
    ):
        key, pending = app.store.begin()
        form = {"RelayState": pending.state, name: said}
        came = Request(method, path, form, form, {app.login_cookie: key}, "", query_string=f"{name}={said}&Signature=x")
        assert app.answer(came).status == "400 Bad Request"
    key, _ = app.store.begin()
    form = {"RelayState": "\u00e9", "SAMLResponse": said}
    assert app.answer(Request("POST", "/acs", {}, form, {app.login_cookie: key}, "")).status == "400 Bad Request"
    entity = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert app.answer(Request("POST", "/slo/soap", {}, {}, {}, "", body=entity)).status == "400 Bad Request"
