"""Sign-in to an application that speaks SAML, judged by python3-saml as the application."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.models import TenantSettings
from idp.saml.application.settings import CLAIMS
from idp.saml.own_key import own_key
from sessions_app.models import SamlSubject, SessionClient
from tests.support.factories import browser, make_session, make_user
from tests.support.saml_sp import Form, ServiceProvider, status_of
from tests.support.second_factors import give_all
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form
from tests.support.upstreams.scripted_saml import NAMES, decode

pytestmark = pytest.mark.django_db
CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
REFEDS_MFA = "https://refeds.org/profile/mfa"


def configure(sp, **changes):
    sp.application.saml = {**sp.application.saml, **changes}
    sp.application.save()


def context(*classes, comparison="exact"):
    inside = "".join(f"<saml:AuthnContextClassRef>{name}</saml:AuthnContextClassRef>" for name in classes)
    return f'<samlp:RequestedAuthnContext Comparison="{comparison}">{inside}</samlp:RequestedAuthnContext>'


def ask(sp, client, *, key=None, **changes):
    request = sp.says(sp.application, **changes)
    return client.get(f"/samlp/{sp.application.client_id}?{request.query(key or sp.key)}")


@pytest.mark.spec("SAML 2.0", "profiles 4.1.4.2", "IP1 The response names session, audience, recipient and request")
def test_somebody_who_is_signed_in_is_told_to_the_application_and_it_takes_part(sp, session):
    auth = sp.takes(browser(session).get(sp.asks()))
    assert auth.get_nameid() == session.user.user_id
    assert auth.get_attributes()[CLAIMS + "emailaddress"] == ["mary@fabrikamcorp.com"]
    assert auth.get_session_expiration() == int(session.expires_at.timestamp())
    assert auth.get_last_authn_contexts() == [CLASS + "PasswordProtectedTransport"]
    assert SessionClient.objects.filter(session=session, application=sp.application).exists()
    assert auth.get_session_index() == SamlSubject.objects.get().session_index != session.sid


def test_the_same_application_again_keeps_its_name_of_the_session(sp, session):
    client = browser(session)
    first, second = (sp.takes(client.get(sp.asks())).get_session_index() for _ in range(2))
    assert first == second
    other = sp.takes(browser(make_session(session.user)).get(sp.asks()))
    assert other.get_session_index() != first


def test_who_is_not_signed_in_signs_in_first_and_relay_state_comes_back_as_it_was(sp):
    make_user()
    client = csrf_client()
    away = client.get(sp.asks("/wiki/Ä?b=1&c"))
    assert away.status_code == 303
    waiting = parse_qs(urlsplit(away["Location"]).query)["next"][0]
    assert sp.application.name in client.get(away["Location"]).content.decode()
    onward = sign_in_by_form(client, next=waiting)
    page = client.get(onward["Location"])
    sp.takes(page)
    assert Form.of(page).fields["RelayState"] == "/wiki/Ä?b=1&c"


def test_what_waits_for_a_sign_in_belongs_to_one_browser(sp, session):
    away = csrf_client().get(sp.asks())
    waiting = parse_qs(urlsplit(away["Location"]).query)["next"][0]
    assert browser(session).get(waiting).status_code == 400


def test_force_authn_is_another_sign_in_and_not_a_loop(sp):
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    before = session_of(client).auth_time
    away = client.get(sp.asks(force_authn=True))
    assert urlsplit(away["Location"]).path == "/login"
    waiting = parse_qs(urlsplit(away["Location"]).query)["next"][0]
    assert urlsplit(client.get(waiting)["Location"]).path == "/login"  # not skipped by opening the page that waits
    waiting = parse_qs(urlsplit(client.get(waiting)["Location"]).query)["next"][0]
    sp.takes(client.get(sign_in_by_form(client, next=waiting)["Location"]))
    assert session_of(client).auth_time > before


@pytest.mark.parametrize(
    ("more", "inside", "signed_in", "expected"),
    [
        ('IsPassive="true"', "", False, ["Responder", "NoPassive"]),
        ('IsPassive="true" ForceAuthn="1"', "", True, ["Responder", "NoPassive"]),
        ('IsPassive="true"', "", True, ["Success"]),
        ("", context(CLASS + "PasswordProtectedTransport"), True, ["Success"]),
        ("", context(CLASS + "Password", comparison="minimum"), True, ["Success"]),
        ("", context(CLASS + "Kerberos"), True, ["Responder", "NoAuthnContext"]),
        ('IsPassive="true"', context(REFEDS_MFA), True, ["Responder", "NoAuthnContext"]),
        ("", '<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"/>', True, ["Requester", "InvalidNameIDPolicy"]),
        ("", '<samlp:NameIDPolicy SPNameQualifier="https://other.example"/>', True, ["Requester", "InvalidNameIDPolicy"]),
        ("", f'<samlp:NameIDPolicy Format="{PERSISTENT}" AllowCreate="true"/>', True, ["Success"]),
    ],
)  # fmt: skip
def test_the_status_says_why_not(sp, session, more, inside, signed_in, expected):
    form = Form.of(ask(sp, browser(session if signed_in else None), more=more, inside=inside))
    assert status_of(form) == expected
    assert form.action == sp.acs


def test_a_context_that_takes_a_second_factor_leads_to_it(sp, session):
    give_all(session.user)
    away = ask(sp, browser(session), inside=context(REFEDS_MFA))
    assert urlsplit(away["Location"]).path == "/login/step-up"
    session.amr = [{"name": "pwd"}, {"name": "otp"}]
    session.save()
    form = Form.of(ask(sp, browser(session), inside=context(REFEDS_MFA, CLASS + "Password")))
    assert REFEDS_MFA in decode(form.fields["SAMLResponse"]).xpath(
        "string(.//saml:AuthnContextClassRef)", namespaces=NAMES
    )


def test_a_persistent_name_is_one_for_the_entity_and_tells_no_other_who_it_is(sp, session):
    configure(sp, nameIdentifierFormat=PERSISTENT)
    other = ServiceProvider("crm")
    other.knows(other.register(nameIdentifierFormat=PERSISTENT))
    other_application = "crm-client"
    mine = sp.takes(browser(session).get(sp.asks()))
    theirs = other.takes(browser(session).get(other.asks()))
    again = sp.takes(browser(make_session(session.user)).get(sp.asks()))
    assert mine.get_nameid() == again.get_nameid() != theirs.get_nameid()
    assert session.user.user_id not in (mine.get_nameid(), theirs.get_nameid())
    assert mine.get_nameid_spnq() == sp.entity_id
    assert SamlSubject.objects.filter(application__client_id=other_application).exists()


def test_mappings_of_claims_are_what_openid_connect_tells_by_the_names_of_addons(sp, session):
    sp.application.claim_mappings = [
        {"claim": "role", "from": "['arn:aws:iam::1:role/a', 'arn:aws:iam::1:role/b']", "in": ["id_token"]},
        {"claim": "cost_center", "from": "`42`", "in": ["id_token"]},
        {"claim": "secret", "from": "'x'", "in": ["access_token"]},
    ]
    role = "https://aws.amazon.com/SAML/Attributes/Role"
    configure(sp, mappings={"email": "mail", "role": role}, mapUnknownClaimsAsIs=True, createUpnClaim=False)
    told = sp.takes(browser(session).get(sp.asks())).get_attributes()
    assert told["mail"] == ["mary@fabrikamcorp.com"]
    assert told[role] == ["arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"]
    assert told["cost_center"] == ["42"]
    assert "secret" not in told
    assert "upn" not in told
    configure(sp, passthroughClaimsWithNoMapping=False, mapIdentities=False)
    assert set(sp.takes(browser(session).get(sp.asks())).get_attributes()) == {"mail", role}


@pytest.mark.parametrize(
    ("saml", "signed"),
    [
        ({}, {"assertion"}),
        ({"signResponse": True}, {"response"}),
        ({"signResponse": True, "signAssertion": True}, {"response", "assertion"}),
    ],
)
def test_what_is_signed_is_a_matter_of_configuration(sp, session, saml, signed):
    configure(sp, **saml)
    sp.changes["security"] = {"wantAssertionsSigned": False, "wantMessagesSigned": "response" in signed}
    page = browser(session).get(sp.asks())
    sp.takes(page)
    root = decode(Form.of(page).fields["SAMLResponse"])
    found = {name for name, path in (("response", "ds:Signature"), ("assertion", "saml:Assertion/ds:Signature")) if root.find(path, NAMES) is not None}  # fmt: skip
    assert found == signed


def test_an_encrypted_assertion_is_opened_by_the_application_only(sp, session):
    configure(sp, encryptionCert=sp.key.certificate)
    sp.changes["security"] = {"wantAssertionsEncrypted": True}
    page = browser(session).get(sp.asks())
    assert b"fabrikamcorp" not in page.content
    assert decode(Form.of(page).fields["SAMLResponse"]).find("saml:Assertion", NAMES) is None
    assert sp.takes(page).get_nameid() == session.user.user_id


def test_people_whom_nobody_sent_are_taken_only_where_it_is_switched_on(sp, session):
    client, path = browser(session), f"/samlp/{sp.application.client_id}"
    assert client.get(path).status_code == 400
    configure(sp, idpInitiated=True, relayState="/start")
    form = Form.of(client.get(path))
    assert form.fields["RelayState"] == "/start"
    assert "InResponseTo" not in decode(form.fields["SAMLResponse"]).attrib


def test_who_may_not_use_the_application_is_told_so_and_it_hears_it(sp, session):
    sp.application.access_mode, sp.application.access_groups = "groups", ["staff"]
    sp.application.save()
    client = browser(session)
    page = client.get(sp.asks())
    assert page.status_code == 403
    back = client.get(page.context["back"])
    assert status_of(Form.of(client.get(back["Location"]))) == ["Responder", "RequestDenied"]
    assert not SessionClient.objects.exists()


def test_who_gives_up_brings_the_application_the_status(sp):
    client = csrf_client()
    away = client.get(sp.asks())
    waiting = parse_qs(urlsplit(away["Location"]).query)["next"][0]
    back = client.get("/login/cancel", {"next": waiting, "error": "access_denied"})
    assert status_of(Form.of(client.get(back["Location"]))) == ["Responder", "RequestDenied"]


def test_a_profile_that_wants_short_assertions_gets_them(sp, session):
    TenantSettings.objects.update_or_create(pk=1, defaults={"profile": "ipsie"})
    session.amr = [{"name": "pwd"}, {"name": "otp"}]
    session.save()
    root = decode(Form.of(browser(session).get(sp.asks())).fields["SAMLResponse"])
    until = root.find(".//saml:Conditions", NAMES).get("NotOnOrAfter")
    assert until <= (timezone.now() + timedelta(minutes=5, seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.spec(
    "SAML 2.0", "metadata 2.4.3", "IP2 An identity provider says where it signs people in and out, and its keys"
)
def test_our_metadata_is_signed_and_of_the_order_that_the_schema_has(sp):
    document = Client().get(f"/samlp/metadata/{sp.application.client_id}")
    assert document["Content-Type"] == "application/samlmetadata+xml"
    assert OneLogin_Saml2_Utils.validate_metadata_sign(document.content, cert=own_key(timezone.now()).certificate_pem)
    role = etree.fromstring(document.content).find("md:IDPSSODescriptor", NAMES)
    names = [child.tag.rpartition("}")[2] for child in role]
    assert names == sorted(
        names, key=["KeyDescriptor", "SingleLogoutService", "NameIDFormat", "SingleSignOnService"].index
    )
    assert role.get("WantAuthnRequestsSigned") == "true"
