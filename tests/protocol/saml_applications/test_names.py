"""By what name an application knows somebody: one that outlives the person's row, that no other page changes, and that XML can say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from lxml import etree

from idp.people import accounts
from idp.saml.application.settings import CLAIMS
from idp.saml.names import EMAIL_ADDRESS, TRANSIENT, UNSPECIFIED
from logout_app.ending import purge
from logout_app.models import LogoutDelivery
from sessions_app.models import SamlSubject
from tests.support.event_streams import sent
from tests.support.factories import browser, make_session, make_user
from tests.support.saml_sp import Form, ServiceProvider, status_of
from tests.support.upstreams.scripted_saml import NAMES

pytestmark = pytest.mark.django_db


def named(body: bytes) -> str:
    return etree.fromstring(body).findtext(".//saml:NameID", namespaces=NAMES)


def purged(days: int) -> None:
    for _, act in purge.batches(timezone.now() + timedelta(days=days), 1):
        act()


def test_somebody_who_is_deleted_is_signed_out_by_soap_all_the_same(session):
    sp = ServiceProvider(soap="https://wiki.example/saml/soap")
    sp.application = sp.register()
    sp.knows(sp.application)
    known = sp.takes(browser(session).get(sp.asks()))
    accounts.delete_user(session.user, actor="admin:boss", at=timezone.now())
    purged(days=3)  # whoever is not told yet is not forgotten
    [(_, body)] = sent()
    assert named(body) == known.get_nameid()
    assert known.get_session_index().encode() in body
    assert LogoutDelivery.objects.get().state == "delivered"
    purged(days=3)
    assert not SamlSubject.objects.exists()


def plain() -> ServiceProvider:
    """It does not sign what it asks, so that any page may ask in its name."""
    sp = ServiceProvider("plain", signs=False)
    sp.application = sp.register(signingCert=None)
    sp.knows(sp.application)
    return sp


def asks_for(sp: ServiceProvider, name_format: str, key=None) -> str:
    said = sp.says(sp.application, inside=f'<samlp:NameIDPolicy Format="{name_format}"/>')
    return f"/samlp/{sp.application.client_id}?{said.query(key)}"


def test_a_request_that_nobody_signed_does_not_change_the_name_by_which_the_session_is_known(session):
    sp, client = plain(), browser(session)
    known = sp.takes(client.get(sp.asks()))
    evil = client.get(asks_for(sp, TRANSIENT))
    assert status_of(Form.of(evil)) == ["Requester", "InvalidNameIDPolicy"]
    assert SamlSubject.objects.get().name_id == known.get_nameid()


def test_the_application_itself_may_change_it(sp, session):
    client = browser(session)
    sp.takes(client.get(sp.asks()))
    assert status_of(Form.of(client.get(asks_for(sp, EMAIL_ADDRESS, sp.key)))) == ["Success"]
    assert SamlSubject.objects.get().name_id == session.user.email


@pytest.mark.parametrize("settings", [{}, {"nameIdentifierFormat": EMAIL_ADDRESS}])
def test_an_address_that_nobody_verified_is_nobodys_name(settings):
    """At an application that knows people by addresses it would be the account of whoever has it."""
    sp, odd = plain(), make_user(email="boss@fabrikamcorp.com")
    odd.email_verified = False
    odd.save()
    sp.application.saml |= settings
    sp.application.save()
    evil = browser(make_session(odd))
    assert status_of(Form.of(evil.get(asks_for(sp, EMAIL_ADDRESS)))) == ["Requester", "InvalidNameIDPolicy"]
    sp.application.saml |= {"nameIdentifierFormat": UNSPECIFIED, "nameIdentifierProbes": [CLAIMS + "emailaddress"]}
    sp.application.save()
    auth = sp.takes(evil.get(sp.asks()))
    assert auth.get_nameid() == odd.user_id
    assert CLAIMS + "upn" not in auth.get_attributes()


@pytest.mark.parametrize("character", ["\x01", "\uffff", "\ufffe"])
def test_what_xml_cannot_say_is_neither_a_fault_nor_left_out_of_a_name(character):
    """Left out, one name could become another."""
    sp = plain()
    sp.application.saml |= {"nameIdentifierProbes": ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"]}
    sp.application.save()
    odd = browser(make_session(make_user(name=f"Ma{character}ry")))
    assert status_of(Form.of(odd.get(sp.asks()))) == ["Requester", "InvalidNameIDPolicy"]
    sp.application.saml = {name: value for name, value in sp.application.saml.items() if name != "nameIdentifierProbes"}
    sp.application.save()
    told = sp.takes(odd.get(sp.asks())).get_attributes()
    assert told["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"] == ["Ma\ufffdry"]
