"""Mary signs in to a demo application through SimpleSAMLphp, a SAML identity provider that is not of our making."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from lxml import etree
from playwright.sync_api import Page, expect

from idp.operations.demo import APPS
from tests.e2e.mary import DEBUGGER, MARY, click_sign_out, is_signed_in, join
from tests.support.receiver import wait_until
from tests.support.stack import Stack
from tests.support.upstreams.scripted_saml import NAMES
from tests.support.upstreams.simplesaml import PASSWORD, POST, REDIRECT, SimpleSaml

NAME = "Acme-SAML"


@pytest.fixture(scope="module", params=["localhost", "127.0.0.1"], ids=["same site", "another site"])
def upstream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleSaml]:
    """At 127.0.0.1 its answers are cross-site POSTs, which come without our Lax cookies at first."""
    running = SimpleSaml(tmp_path_factory.mktemp("saml"), host=request.param)
    yield running
    running.stop()


def configure(stack: Stack, upstream: SimpleSaml, *, enabled: bool = True, **options: Any) -> None:
    entry = {
        "name": NAME,
        "strategy": "samlp",
        "enabled": enabled,
        "display_name": "Acme SAML",
        "options": {"metadataUrl": upstream.metadata_url, **options},
    }
    file = stack.data / "saml.yaml"
    file.write_text(yaml.safe_dump({"connections": [entry]}))
    stack.run("apply", str(file))


@pytest.fixture(autouse=True)
def _connection(stack: Stack, upstream: SimpleSaml) -> Iterator[None]:
    yield
    configure(stack, upstream, enabled=False)


def introduce(
    stack: Stack,
    upstream: SimpleSaml,
    *,
    signed: bool = False,
    encrypt: bool = False,
    certificate: str = "",
    logout_binding: str = "",
    **more: Any,
) -> None:
    """Do what the administrator of the identity provider does with our metadata document."""
    root = etree.fromstring(requests.get(f"{stack.issuer}samlp/{NAME}/metadata", timeout=10).content)
    service = root.find(".//md:AssertionConsumerService", NAMES).get("Location")
    body = root.find(".//md:KeyDescriptor[@use='encryption']//ds:X509Certificate", NAMES).text
    certificate = certificate or f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
    upstream.register(
        root.get("entityID"),
        service,
        certificate=certificate if signed or encrypt or logout_binding else "",
        encrypt=encrypt,
        logout=root.find(".//md:SingleLogoutService", NAMES).get("Location") if logout_binding else "",
        logout_binding=logout_binding,
        **{"validate.authnrequest": signed, **more},
    )


def choose(page: Page, stack: Stack) -> None:
    """Open the application and take the button of the connection."""
    page.goto(stack.app(DEBUGGER))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.get_by_role("link", name="Continue with Acme SAML").click()


def type_password(page: Page) -> None:
    page.locator("#username").fill("mary")
    page.locator("#password").fill(PASSWORD)
    page.locator("[type=submit]").first.click()


def ssodata(page: Page, stack: Stack) -> dict[str, Any]:
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(stack.issuer)}
    answer: dict[str, Any] = requests.get(f"{stack.issuer}user/ssodata", cookies=cookies, timeout=5).json()
    return answer


@pytest.mark.parametrize("binding", [REDIRECT, POST], ids=["redirect", "post"])
@pytest.mark.parametrize("protected", [False, True], ids=["plain", "signed request, encrypted assertion"])
def test_mary_signs_in_through_a_saml_identity_provider(
    stack: Stack, page: Page, upstream: SimpleSaml, binding: str, protected: bool
) -> None:
    configure(stack, upstream, protocolBinding=binding, signSAMLRequest=protected)
    introduce(stack, upstream, signed=protected, encrypt=protected)
    choose(page, stack)
    type_password(page)
    page.wait_for_url(stack.app(DEBUGGER))
    expect(page.get_by_text(MARY).first).to_be_visible()
    assert ssodata(page, stack)["lastUsedConnection"] == {"name": NAME, "strategy": "samlp"}
    click_sign_out(page)
    page.wait_for_url(re.compile(r"/logout/"), wait_until="commit")
    page.goto(stack.app(DEBUGGER))
    assert not is_signed_in(page)


@pytest.mark.parametrize(
    ("signs", "wanted", "encrypt"),
    [
        ("assertion", "either", False),
        ("response", "either", False),
        ("assertion", "assertion", True),
        ("response", "response", True),
    ],
)
def test_mary_signs_in_whatever_of_the_two_her_identity_provider_signs(
    stack: Stack, page: Page, upstream: SimpleSaml, signs: str, wanted: str, encrypt: bool
) -> None:
    configure(stack, upstream, wants_signed=wanted)
    introduce(stack, upstream, encrypt=encrypt, **_signing(signs))
    choose(page, stack)
    type_password(page)
    page.wait_for_url(stack.app(DEBUGGER))
    expect(page.get_by_text(MARY).first).to_be_visible()


def test_an_answer_that_is_not_signed_enough_is_a_page_with_a_reference(
    stack: Stack, page: Page, upstream: SimpleSaml
) -> None:
    configure(stack, upstream, wants_signed="both")
    introduce(stack, upstream, **_signing("assertion"))
    choose(page, stack)
    type_password(page)
    expect(page.get_by_role("alert")).to_contain_text("not signed as it must be")
    expect(page.locator(".reference code")).to_have_text(re.compile(r"^[A-Z2-9]{4}-[A-Z2-9]{4}$"))
    page.goto(stack.app(DEBUGGER))
    assert not is_signed_in(page)


def _signing(what: str) -> dict[str, bool]:
    """What SimpleSAMLphp signs for one service provider."""
    return {f"saml20.sign.{part}": part == what for part in ("assertion", "response")}


def test_a_request_with_a_foreign_signature_is_refused_there(stack: Stack, page: Page, upstream: SimpleSaml) -> None:
    """The identity provider checks our signature: it was told another certificate than ours here."""
    configure(stack, upstream, protocolBinding=POST)
    introduce(stack, upstream, signed=True, certificate=upstream.key.certificate)
    choose(page, stack)
    expect(page.get_by_text("Unhandled exception").or_(page.get_by_text("Error")).first).to_be_visible()
    page.goto(stack.app(DEBUGGER))
    assert not is_signed_in(page)


def test_people_who_come_unasked_are_let_in_only_if_that_is_switched_on(
    stack: Stack, page: Page, upstream: SimpleSaml
) -> None:
    configure(stack, upstream)
    introduce(stack, upstream)
    entity_id = f"{stack.issuer}samlp/{NAME}/metadata"
    page.goto(upstream.unsolicited(entity_id, "https://evil.example/"))
    type_password(page)
    expect(page.get_by_text("does not work at the moment")).to_be_visible()
    assert ssodata(page, stack) == {"sso": False}

    query = f"response_type=code&scope=openid&redirect_uri={stack.app(DEBUGGER)}callback"
    configure(
        stack, upstream, idpinitiated={"enabled": True, "client_id": APPS[DEBUGGER][2], "client_authorizequery": query}
    )
    page.goto(upstream.unsolicited(entity_id, "https://evil.example/"))
    page.wait_for_url(re.compile(re.escape(stack.app(DEBUGGER))))
    join(page, stack, DEBUGGER)
    expect(page.get_by_text(MARY).first).to_be_visible()


def sign_in(stack: Stack, page: Page, upstream: SimpleSaml, logout_binding: str) -> None:
    configure(stack, upstream)
    introduce(stack, upstream, logout_binding=logout_binding)
    choose(page, stack)
    type_password(page)
    page.wait_for_url(stack.app(DEBUGGER))


def assert_mary_is_out(stack: Stack, page: Page, upstream: SimpleSaml) -> None:
    """At Curfew, in the application, which heard of it, and at the identity provider, which asks for the password again."""
    assert ssodata(page, stack) == {"sso": False}
    page.goto(stack.app(DEBUGGER))
    wait_until(lambda: page.reload() is not None and not is_signed_in(page), 10, "the application was not told")
    page.goto(f"{stack.issuer}login/upstream/{NAME}")
    expect(page.locator("#password")).to_be_visible()


@pytest.mark.both
def test_federated_sign_out_leads_over_the_identity_provider_and_back(
    stack: Stack, page: Page, upstream: SimpleSaml
) -> None:
    sign_in(stack, page, upstream, REDIRECT)
    page.goto(f"{stack.issuer}v2/logout?client_id={APPS[DEBUGGER][2]}&federated")
    page.wait_for_url(re.compile("/logout/"))
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url(re.compile(f"^{re.escape(stack.app(DEBUGGER))}"))
    assert_mary_is_out(stack, page, upstream)


@pytest.mark.parametrize("binding", [REDIRECT, POST], ids=["redirect", "post"])
def test_leaving_the_identity_provider_is_leaving_us(
    stack: Stack, page: Page, upstream: SimpleSaml, binding: str
) -> None:
    """The browser passes by with a signed LogoutRequest, and goes back with our answer."""
    sign_in(stack, page, upstream, binding)
    page.goto(upstream.sign_out(f"{stack.issuer}livez"))
    page.wait_for_url(f"{stack.issuer}livez")
    assert_mary_is_out(stack, page, upstream)
