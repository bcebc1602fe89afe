"""Single logout of applications that speak SAML, asked by python3-saml and answered to it."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from lxml import etree

from idp.protocol.initiators import Initiator
from idp.saml import soap
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryState, LogoutDelivery, LogoutTransaction
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.saml_sp import Form, ServiceProvider, path_of, redirect_query, status_of
from tests.support.upstreams.scripted_saml import NAMES, decode, encode, instant, sign, the_key

pytestmark = pytest.mark.django_db
PAGE = {
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "cross-site",
    "Accept": "text/html",
}
ATTACKER = the_key("attacker.example")
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"


@pytest.fixture
def client(sp, session):
    """A browser in which the person is signed in at the wiki."""
    client = browser(session)
    sp.known_as = sp.takes(client.get(sp.asks()))
    return client


@pytest.fixture
def crm(client):
    """Another application of the session, by SAML."""
    other = ServiceProvider("crm", key=the_key("crm.example"))
    other.application = other.register()
    other.knows(other.application)
    other.known_as = other.takes(client.get(other.asks()))
    return other


def leave(sp, client, **how):
    """The application's own *Sign out*, by redirect."""
    known = sp.known_as
    url = sp.auth().logout(return_to="/bye", name_id=known.get_nameid(), session_index=known.get_session_index(), **how)
    return client.get(path_of(url), headers=PAGE)


def request(sp, *, name_id=None, index=None, key=None, issuer=None, at=None):
    """The same, spelt out."""
    name_id = sp.known_as.get_nameid() if name_id is None else name_id
    index = sp.known_as.get_session_index() if index is None else index
    root = etree.fromstring(
        f'<samlp:LogoutRequest xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID="_r{index[:9]}" Version="2.0"'
        f' IssueInstant="{instant(at or timezone.now())}" Destination="{address(sp)}"><saml:Issuer>{issuer or sp.entity_id}'
        f"</saml:Issuer><saml:NameID>{name_id}</saml:NameID>"
        + (f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" if index else "")
        + "</samlp:LogoutRequest>"
    )
    if key is not False:
        sign(root, key or sp.key)
    return root


def address(sp):
    return f"http://localhost:8000/samlp/{sp.application.client_id}/logout"


def ask_by_soap(sp, root):
    envelope = f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{etree.tostring(root).decode()}</s:Body></s:Envelope>'
    return Client().post(
        urlsplit(address(sp)).path, envelope, content_type="text/xml", headers={"SOAPAction": soap.ACTION}
    )


def codes(answer):
    assert answer.status_code == 200, answer.content
    found = etree.fromstring(answer.content).iterfind(".//samlp:StatusCode", NAMES)
    return [code.get("Value").rpartition(":")[2] for code in found]


def is_over(session):
    session.refresh_from_db()
    return session.ended_at is not None


def answer_of(sp, response):
    """What the application's logout endpoint gets, checked by python3-saml."""
    form = Form.of(response)
    assert form.action == sp.slo
    auth = sp.auth("/saml/slo", **form.fields)
    assert decode(form.fields["SAMLResponse"]).get("Destination") == sp.slo
    return form, auth


@pytest.mark.spec("SAML 2.0", "profiles 4.4.3", "IP3 A request of a participant ends the session and is answered")
def test_an_application_that_signs_somebody_out_alone_is_answered_success_at_once(sp, client, session):
    form, _ = answer_of(sp, leave_and_answer(sp, client))
    assert status_of(form) == ["Success"]
    assert is_over(session)
    assert (session.end_initiator, session.end_actor) == ("rp-logout", f"app:{sp.application.client_id}")
    assert LogoutDelivery.objects.get().last_reason == "it asked for this sign-out"


def leave_and_answer(sp, client):
    response = leave(sp, client)
    return client.get(response["Location"]) if response.status_code == 302 else response


@pytest.mark.spec("SAML 2.0", "core 3.7.3.2", "IP4 PartialLogout is said while somebody has not confirmed")
def test_the_answer_is_partial_until_everybody_has_confirmed(sp, crm, client, session):
    oidc = make_application("Debugger", backchannel_logout_uri="https://debugger.example/bc")
    make_session_client(session, oidc)
    away = leave(sp, client)
    assert urlsplit(away["Location"]).path.startswith("/logout/")
    page = client.get(away["Location"])
    states = {item["row"].name: item["row"].state.value for item in page.context["rows"]}
    assert states == {"Wiki": "delivered", "Crm": "pending", "Debugger": "pending"}
    onward = page.context["continue_url"]
    assert status_of(Form.of(client.get(onward))) == ["Success", "PartialLogout"]
    LogoutDelivery.objects.update(state=DeliveryState.DELIVERED, finished_at=timezone.now())
    end = LogoutDelivery.objects.first().event
    LogoutDelivery.objects.create(event=end, channel="poll", receiver="stream:1")  # whom nobody is signed in to
    form, _ = answer_of(sp, client.get(onward))
    assert status_of(form) == ["Success"]
    assert form.fields["RelayState"] == "/bye"


def make_session_client(session, application):
    from sessions_app.models import SessionClient

    SessionClient.objects.create(session=session, application=application)


def test_an_application_without_a_way_to_hear_makes_the_answer_partial(sp, client, session):
    make_session_client(session, make_application("Mute"))
    form, _ = answer_of(sp, leave_and_answer(sp, client))
    assert status_of(form) == ["Success", "PartialLogout"]


def test_a_frame_of_the_page_asks_and_hears_the_answer(sp, crm, client, session):
    page = client.get(leave(sp, client)["Location"])
    (row,) = [item["row"] for item in page.context["rows"] if item["row"].name == "Crm"]
    policy = page["Content-Security-Policy"]
    assert "frame-src" in policy
    assert "https://crm.example" in policy
    frame = client.get(row.frame_url)
    assert "X-Frame-Options" not in frame
    form = Form.of(frame)
    assert form.action == crm.slo
    asked = crm.auth("/saml/slo", **form.fields)
    root = decode(form.fields["SAMLRequest"])
    assert root.findtext("saml:NameID", namespaces=NAMES) == crm.known_as.get_nameid()
    assert root.findtext("samlp:SessionIndex", namespaces=NAMES) == crm.known_as.get_session_index()
    assert asked is not None
    bad = Client().get(f"{path(crm)}?{response(crm, root, form, key=ATTACKER)}")
    assert bad.status_code == 400
    assert state_of("Crm") == "pending"
    stale = Client().get(f"{path(crm)}?{response(crm, root, form, in_response_to='_other')}")
    assert stale.status_code == 400
    no = Client().get(f"{path(crm)}?{response(crm, root, form, status='Responder')}")
    assert "could not sign you out" in no.content.decode()
    assert state_of("Crm") == "dead"
    yes = Client().get(f"{path(crm)}?{response(crm, root, form)}")
    assert yes.status_code == 200
    assert state_of("Crm") == "delivered"
    assert client.get(page.context["continue_url"]).status_code == 200


@pytest.mark.parametrize("seen", ["acknowledged", "loaded"])
def test_what_a_page_in_the_frame_says_is_no_answer(sp, crm, client, session, seen):
    page = client.get(leave(sp, client)["Location"])
    (row,) = [item["row"] for item in page.context["rows"] if item["row"].name == "Crm"]
    there = f"/logout/{urlsplit(row.frame_url).path.split('/')[2]}/outcome"
    sent = client.post(
        there, {"application": crm.application.pk, "outcome": seen}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert sent.status_code == 204
    assert state_of("Crm") == "pending"
    assert status_of(Form.of(client.get(page.context["continue_url"]))) == ["Success", "PartialLogout"]


def path(sp):
    return f"/samlp/{sp.application.client_id}/logout"


def response(sp, request, form, *, key=None, in_response_to="", status="Success"):
    xml = (
        f'<samlp:LogoutResponse xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID="_x{status}" Version="2.0"'
        f' IssueInstant="{instant(timezone.now())}" Destination="{address(sp)}" InResponseTo="{in_response_to or request.get("ID")}">'
        f'<saml:Issuer>{sp.entity_id}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/>'
        "</samlp:Status></samlp:LogoutResponse>"
    )
    return redirect_query("SAMLResponse", xml.encode(), key or sp.key, form.fields["RelayState"])


def state_of(name):
    return LogoutDelivery.objects.get(application__name=name, channel="saml_browser").state


def test_a_row_is_tried_again_with_a_new_request(sp, crm, client, session):
    page = client.get(leave(sp, client)["Location"])
    transaction, application = LogoutTransaction.objects.get(), crm.application.pk
    first = decode(Form.of(client.get(page.context["rows"][1]["row"].frame_url)).fields["SAMLRequest"]).get("ID")
    LogoutDelivery.objects.filter(application=application).update(state="dead", finished_at=timezone.now())
    token = urlsplit(page.context["rows"][1]["row"].frame_url).path.split("/")[2]
    client.post(f"/logout/{token}/retry", {"application": application}, headers={"Sec-Fetch-Site": "same-origin"})
    assert state_of("Crm") == "pending"
    assert transaction.event is not None
    second = decode(Form.of(client.get(page.context["rows"][1]["row"].frame_url)).fields["SAMLRequest"]).get("ID")
    assert first != second


def test_somebody_elses_page_has_no_frames(sp, crm, client, session):
    page = client.get(leave(sp, client)["Location"])
    assert Client().get(page.context["rows"][1]["row"].frame_url).status_code == 404


def test_by_soap_the_session_ends_and_the_answer_is_in_the_same_exchange(sp, client, session):
    assert codes(ask_by_soap(sp, request(sp))) == ["Success"]
    assert is_over(session)


def test_by_soap_the_answer_is_partial_while_others_are_being_told(sp, crm, client, session):
    assert codes(ask_by_soap(sp, request(sp))) == ["Success", "PartialLogout"]
    row = LogoutDelivery.objects.get(application=crm.application)
    assert (row.state, row.last_reason) == ("not_told", "it hears of logouts by a browser only, and none showed the sign-out page")  # fmt: skip


def test_without_an_index_all_sessions_of_that_name_end_and_no_other(sp, client, session):
    second = make_session(session.user)
    sp.takes(browser(second).get(sp.asks()))
    elsewhere = make_session(session.user)
    assert codes(ask_by_soap(sp, request(sp, index=""))) == ["Success"]
    assert is_over(session)
    assert is_over(second)
    assert not is_over(elsewhere)


@pytest.mark.parametrize(
    "how",
    [
        {"key": ATTACKER},
        {"key": False},
        {"issuer": "https://crm.example/saml/metadata"},
        {"at": timezone.now().replace(year=2020)},
    ],
    ids=["another key", "not signed", "another issuer", "too old"],
)
def test_a_request_that_is_not_the_applications_ends_nothing(sp, client, session, how):
    answer = ask_by_soap(sp, request(sp, **how))
    assert (answer.status_code, answer["Content-Type"]) == (500, "text/xml")
    assert b"Fault" in answer.content
    assert not is_over(session)
    form = urlencode({"SAMLRequest": encode(request(sp, **how))})
    assert client.post(path(sp), form, content_type="application/x-www-form-urlencoded").status_code == 400
    assert not is_over(session)


def test_a_request_is_used_once(sp, client, session):
    root = request(sp)
    assert codes(ask_by_soap(sp, root)) == ["Success"]
    assert ask_by_soap(sp, root).status_code == 500


def test_an_application_ends_no_session_but_its_own(sp, crm, client, session):
    """By the name and index of another application, or of a person in whose session it takes no part."""
    other = make_session(make_user("eve@fabrikamcorp.com"))
    theirs = request(sp, name_id=crm.known_as.get_nameid(), index=crm.known_as.get_session_index())
    assert codes(ask_by_soap(sp, theirs)) == ["Requester", "UnknownPrincipal"]
    unknown = request(sp, name_id=other.user.user_id, index="")
    assert codes(ask_by_soap(sp, unknown)) == ["Requester", "UnknownPrincipal"]
    assert not is_over(session)
    assert not is_over(other)


def test_a_session_that_is_over_already_is_no_mistake(sp, client, session):
    end_sessions(
        Selection.session(session.pk), initiator=Initiator.SESSION_REVOKED, actor="admin:1", at=timezone.now(), offline_tokens=False
    )  # fmt: skip
    assert codes(ask_by_soap(sp, request(sp))) == ["Success"]


def test_another_browser_learns_nothing_of_the_session_that_a_request_names(sp, crm, client, session):
    """Whoever holds a signed request ends that session; its page is for the browser that has it."""
    stranger = browser(make_session(make_user("eve@fabrikamcorp.com")))
    known = sp.known_as
    url = sp.auth().logout(name_id=known.get_nameid(), session_index=known.get_session_index())
    form, _ = answer_of(sp, stranger.get(path_of(url), headers=PAGE))
    assert status_of(form) == ["Success", "PartialLogout"]
    assert is_over(session)
    assert not LogoutTransaction.objects.exists()


def test_without_an_address_for_answers_the_person_sees_that_they_are_signed_out(session):
    sp = ServiceProvider("plain")
    sp.application = sp.register(logout=None)
    sp.knows(sp.application)
    client = browser(session)
    sp.known_as = sp.takes(client.get(sp.asks()))
    page = leave(sp, client)
    assert page.status_code in (200, 302)
    assert is_over(session)


def test_relay_state_of_an_answer_leads_nowhere(sp, crm, client, session):
    page = client.get(leave(sp, client)["Location"])
    form = Form.of(client.get(page.context["rows"][1]["row"].frame_url))
    root = decode(form.fields["SAMLRequest"])
    form.fields["RelayState"] = "https://evil.example/"
    answer = Client().get(f"{path(crm)}?{response(crm, root, form)}")
    assert answer.status_code == 400
    assert not answer.has_header("Location")
