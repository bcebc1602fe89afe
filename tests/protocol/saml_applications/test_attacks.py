"""What a SAML identity provider is attacked with: requests that are not the application's, and documents that are none."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import xmlsec
from django.test import Client
from django.utils import timezone

from idp.models import RefusedRequest
from sessions_app.models import SamlSubject
from tests.support.factories import browser
from tests.support.saml_sp import Form, ServiceProvider, redirect_query
from tests.support.upstreams.scripted_saml import NAMES, decode, encode, the_key

pytestmark = pytest.mark.django_db
ATTACKER = the_key("attacker.example")
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
XXE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


def path(sp):
    return f"/samlp/{sp.application.client_id}"


def post(client, address, form):
    return client.post(address, urlencode(form), content_type="application/x-www-form-urlencoded")


def refused(response, words):
    """A page of ours that leads nowhere, and nobody was told anything."""
    page = response.content.decode()
    assert response.status_code == 400, page[-500:]
    assert words in page
    assert "SAMLResponse" not in page
    assert not SamlSubject.objects.exists()


FORGED = {
    "ACS that is not registered": (
        {"more": 'AssertionConsumerServiceURL="https://evil.example/acs"'},
        "AssertionConsumerServiceURL is not registered",
    ),
    "ACS that begins as the registered one does": (
        {"more": 'AssertionConsumerServiceURL="https://wiki.example/saml/acs.evil"'},
        "AssertionConsumerServiceURL is not registered",
    ),
    "index of no ACS": ({"more": 'AssertionConsumerServiceIndex="7"'}, "AssertionConsumerServiceIndex"),
    "ACS twice": (
        {"more": 'AssertionConsumerServiceURL="https://wiki.example/saml/acs" AssertionConsumerServiceIndex="0"'},
        "names its assertion consumer service twice",
    ),
    "another application": ({"issuer": "https://crm.example/saml/metadata"}, "is of another application"),
    "another destination": ({"destination": "https://other-idp.example/sso"}, "another destination than ours"),
    "too old": ({"at": timezone.now() - timedelta(hours=2)}, "issued too long ago"),
    "of the future": ({"at": timezone.now() + timedelta(hours=1)}, "issued in the future"),
    "another binding": (
        {"more": 'ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"'},
        "another binding than HTTP-POST",
    ),
    "a subject": ({"inside": "<saml:Subject><saml:NameID>eve</saml:NameID></saml:Subject>"}, "names a subject"),
    "a switch that is none": ({"more": 'ForceAuthn="yes"'}, "neither true nor false"),
}


@pytest.mark.parametrize(("changes", "words"), FORGED.values(), ids=FORGED)
def test_a_request_that_is_not_the_applications_leads_nowhere(sp, session, changes, words):
    refused(browser(session).get(f"{path(sp)}?{sp.says(sp.application, **changes).query(sp.key)}"), words)


def test_administrators_see_the_address_that_was_not_registered(sp, session):
    evil = sp.says(sp.application, more='AssertionConsumerServiceURL="https://evil.example/acs"')
    browser(session).get(f"{path(sp)}?{evil.query(sp.key)}")
    assert RefusedRequest.objects.get().received == "https://evil.example/acs"


SIGNED_BADLY = {
    "by another certificate": (lambda _, said: {"query": said.query(ATTACKER)}, "none of the sender"),
    "not at all": (lambda _, said: {"query": said.query(None)}, "is not signed"),
    "altered": (
        lambda sp, said: {"query": said.query(sp.key).replace("SAMLRequest=", "SAMLRequest=l", 1)},
        "",
    ),
    "another RelayState than the signed one": (
        lambda sp, said: {"query": said.query(sp.key, "/home").replace("RelayState=%2Fhome", "RelayState=%2Fevil")},
        "none of the sender",
    ),
    "by form, by another certificate": (lambda _, said: {"form": said.form(ATTACKER)}, "none of the sender"),
    "by form, not at all": (lambda _, said: {"form": said.form(None)}, "is not signed"),
    "by form, with a MAC of the public certificate": (
        lambda sp, said: {"form": said.form(sp.key, algorithm=xmlsec.Transform.HMAC_SHA256)},
        "not allowed",
    ),
    "by form, with SHA-1": (
        lambda sp, said: {"form": said.form(sp.key, algorithm=xmlsec.Transform.RSA_SHA1)},
        "not allowed",
    ),
    "by query, of an algorithm of another kind": (
        lambda sp, said: {"query": said.query(sp.key).replace("rsa-sha256", "hmac-sha256")},
        "none of the sender",
    ),
}


@pytest.mark.parametrize(("send", "words"), SIGNED_BADLY.values(), ids=SIGNED_BADLY)
def test_a_signature_that_is_not_the_applications_is_none(sp, session, send, words):
    sent, client = send(sp, sp.says(sp.application)), browser(session)
    answer = client.get(f"{path(sp)}?{sent['query']}") if "query" in sent else post(client, path(sp), sent["form"])
    refused(answer, words)


def test_what_is_signed_by_form_says_where_it_goes_and_is_believed(sp, session):
    form = Form.of(post(browser(session), path(sp), sp.says(sp.application).form(sp.key)))
    assert form.action == sp.acs


def test_an_application_without_a_certificate_need_not_sign_but_is_still_answered_at_its_acs_only(session):
    sp = ServiceProvider("plain", signs=False)
    sp.application = sp.register(signingCert=None)
    sp.knows(sp.application)
    sp.takes(browser(session).get(sp.asks()))
    evil = sp.says(sp.application, more='AssertionConsumerServiceURL="https://evil.example/acs"')
    assert browser(session).get(f"{path(sp)}?{evil.query(None)}").status_code == 400


def test_a_wrong_signature_counts_even_where_none_is_wanted(session):
    sp = ServiceProvider("lax")
    sp.application = sp.register(wantsSignedRequests=False)
    client = browser(session)
    assert client.get(f"{path(sp)}?{sp.says(sp.application).query(None)}").status_code == 200
    assert client.get(f"{path(sp)}?{sp.says(sp.application).query(ATTACKER)}").status_code == 400


def test_a_request_is_answered_once(sp, session):
    client, query = browser(session), sp.says(sp.application).query(sp.key)
    assert client.get(f"{path(sp)}?{query}").status_code == 200
    again = client.get(f"{path(sp)}?{query}")
    assert again.status_code == 400
    assert "answered before" in again.content.decode()


def test_relay_state_is_text_in_a_form_and_nothing_that_leads(sp, session):
    evil = 'https://evil.example/"><script>alert(1)</script>'
    page = browser(session).get(f"{path(sp)}?{sp.says(sp.application).query(sp.key, evil)}")
    form = Form.of(page)
    assert (form.action, form.fields["RelayState"]) == (sp.acs, evil)
    assert b"<script>alert" not in page.content
    assert "evil.example" not in page["Content-Security-Policy"]
    long = browser(session).get(f"{path(sp)}?{sp.says(sp.application).query(sp.key, 'x' * 2000)}")
    assert long.status_code == 400


NO_DOCUMENT = {
    "an external entity": XXE,
    "a bomb of entities": BOMB,
    "a comment": "<!-- -->",
    "a processing instruction": "<?php ?>",
}


@pytest.mark.parametrize("before", NO_DOCUMENT.values(), ids=NO_DOCUMENT)
@pytest.mark.parametrize("by_form", [True, False], ids=["form", "query"])
def test_a_document_with_anything_but_elements_is_refused_before_it_is_parsed(sp, session, before, by_form):
    document = before.encode() + sp.says(sp.application).xml().encode()
    if by_form:
        answer = post(browser(session), path(sp), {"SAMLRequest": encode(document)})
    else:
        answer = browser(session).get(f"{path(sp)}?{redirect_query('SAMLRequest', document, sp.key)}")
    refused(answer, "The sign-in request of Wiki has a")


def test_a_deflate_bomb_is_cut_off(sp, session):
    bomb = b"<a>" + b" " * 20_000_000 + b"</a>"
    query = redirect_query("SAMLRequest", bomb, sp.key)
    refused(browser(session).get(f"{path(sp)}?{query}"), "longer than")


def test_a_comment_in_a_name_does_not_make_somebody_else_of_it(sp, session):
    """CVE-2017-11427 and its kin: what we write has nothing in a NameID but text."""
    session.user.email = "mary@fabrikamcorp.com<!-- -->.evil.example"
    session.user.save()
    sp.application.saml = {**sp.application.saml, "nameIdentifierProbes": ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"]}  # fmt: skip
    sp.application.save()
    root = decode(Form.of(browser(session).get(sp.asks())).fields["SAMLResponse"])
    name = root.find(".//saml:NameID", NAMES)
    assert len(name) == 0
    assert name.text == session.user.email


def test_an_assertion_is_for_one_audience_and_one_recipient(sp, session):
    other = ServiceProvider("crm")
    other.knows(other.register())
    form = Form.of(browser(session).get(sp.asks()))
    auth = other.auth(**form.fields)
    auth.process_response(request_id=sp.request_id)
    assert not auth.is_authenticated()


@pytest.mark.parametrize("state", ["disabled", "without SAML", "of broken settings", "unknown"])
def test_where_no_application_speaks_saml_there_is_nothing(sp, session, state):
    request = sp.asks()
    if state == "disabled":
        sp.application.enabled = False
    elif state == "without SAML":
        sp.application.saml = {}
    elif state == "of broken settings":
        sp.application.saml = {**sp.application.saml, "lifetimeInSeconds": -1}
    else:
        request = request.replace(sp.application.client_id, "nobody")
    sp.application.save()
    assert browser(session).get(request).status_code == 404
    metadata = Client().get(request.partition("?")[0].replace("/samlp/", "/samlp/metadata/"))
    assert metadata.status_code == 404


def test_what_waits_for_a_sign_in_goes_nowhere_that_was_taken_away_meanwhile(sp, session):
    client = Client()
    away = client.get(f"{path(sp)}?{sp.says(sp.application).query(sp.key)}")
    [onward] = parse_qs(urlsplit(away["Location"]).query)["next"]
    sp.application.redirect_uris = "https://wiki.example/saml/new"
    sp.application.save()
    client.cookies.update(browser(session).cookies)
    refused(client.get(onward), "has changed")


def test_what_is_kept_in_an_address_is_short(sp, session):
    context = f"<saml:AuthnContextClassRef>{'x' * 300}</saml:AuthnContextClassRef>"
    for inside, words in (
        (f"<samlp:RequestedAuthnContext>{context}</samlp:RequestedAuthnContext>", "context that is too long"),
        (f'<samlp:NameIDPolicy Format="{"x" * 300}"/>', "format that is too long"),
    ):
        refused(browser(session).get(f"{path(sp)}?{sp.says(sp.application, inside=inside).query(sp.key)}"), words)
