"""Single logout by SAML: the identity provider ends sessions of ours, and we end those of the identity provider."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
import xmlsec
from django.http import HttpResponse
from django.test import Client
from lxml import etree

from idp.models import Connection, Identity, SamlKey, User
from idp.saml.own_key import own_key
from idp.tenants import configuration
from logout_app.models import LogoutEvent, LogoutTransaction
from sessions_app.models import SSOSession
from tests.protocol.connections_saml.conftest import Way
from tests.protocol.connections_saml.requests import check_query, request_of
from tests.support.factories import browser, make_application, make_session
from tests.support.upstreams.scripted_saml import NAMES, key_descriptor, metadata, the_key
from tests.support.upstreams.scripted_saml_logout import DEFLATE, RSA_SHA1, Leaving, by_form, by_redirect

SLO = "http://localhost:8000/samlp/Acme/slo"
THEIRS = "https://idp.example/slo"
OUT = "https://app.example/out"
FORM = "application/x-www-form-urlencoded"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}


def _session(way: Way, *apps: Any, name_id: str = "mary", sub: str = "", index: str = "index-1") -> SSOSession:
    """As a sign-in through the connection leaves it. `sub` differs from the NameID where an attribute is the user id."""
    sub = sub or name_id
    user = User.objects.filter(user_id=f"samlp|Acme|{sub}").first()
    if user is None:
        user = User.objects.create_user(f"samlp|Acme|{sub}", None)
        Identity.objects.create(user=user, connection=way.connection, sub=sub)
    upstream = {"name_id": name_id, "name_id_format": "urn:x", "sp_name_qualifier": "us", "signs_out": True}
    return make_session(user, *apps, connection=way.connection, upstream_sid=index, upstream=upstream)


def _is_live(session: SSOSession) -> bool:
    session.refresh_from_db()
    return session.ended_at is None


def _get(query: str, client: Client | None = None) -> HttpResponse:
    return (client or Client()).get(f"/samlp/Acme/slo?{query}")


def _post(body: str, client: Client | None = None) -> HttpResponse:
    return (client or Client()).post("/samlp/Acme/slo", body, content_type=FORM)


def _says(way: Way, **changes: Any) -> Leaving:
    return Leaving(**{"destination": SLO, "at": way.at, **changes})


@pytest.mark.spec("SAML 2.0", "profiles 4.4.3", "SP9 A signed LogoutRequest ends the session, and is answered")
@pytest.mark.parametrize("binding", ["redirect", "form"])
def test_a_signed_request_ends_the_session_and_is_answered(way: Way, binding: str) -> None:
    """The positive control of single logout: on both bindings."""
    app = make_application(backchannel_logout_uri="https://jwt-debugger.example/backchannel")
    session = _session(way, app)
    asked = _says(way)
    send = (lambda: _get(by_redirect(asked, way.idp.key, relay_state="theirs"))) if binding == "redirect" else (
        lambda: _post(by_form(asked, way.idp.key, relay_state="theirs"))
    )  # fmt: skip
    response = send()
    assert response.status_code == 303, response.content
    assert not _is_live(session)
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor) == ("idp-logout", "upstream:Acme")
    assert event.deliveries.count() == 1

    url = response.headers["Location"]
    check_query(url, own_key(way.at).certificate_pem)
    parameters = parse_qs(urlsplit(url).query)
    answer = request_of(parameters["SAMLResponse"][0])
    assert url.startswith(f"{THEIRS}?")
    assert parameters["RelayState"] == ["theirs"]
    assert answer.get("InResponseTo") == asked.id
    assert answer.get("Destination") == THEIRS
    assert answer.find(".//samlp:StatusCode", NAMES).get("Value").endswith(":Success")


def test_the_answer_goes_where_the_metadata_want_answers(way: Way) -> None:
    document = way.idp.metadata().replace(
        f'Location="{THEIRS}"', f'Location="{THEIRS}" ResponseLocation="{THEIRS}/done"'
    )
    way.configure(metadataXml=document)
    response = _get(by_redirect(_says(way), way.idp.key))
    assert response.headers["Location"].startswith(f"{THEIRS}/done?")


@pytest.mark.parametrize("binding", ["redirect", "form"])
def test_a_byte_order_mark_before_a_message_is_no_part_of_it(
    way: Way, binding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, said = _session(way), _says(way)
    if binding == "form":
        form = dict(parse_qsl(by_form(said, way.idp.key)))
        message = b"\xef\xbb\xbf" + base64.b64decode(form["SAMLRequest"])
        response = _post(urlencode({"SAMLRequest": base64.b64encode(message)}))
    else:
        written = "\ufeff" + said.xml()
        monkeypatch.setattr(Leaving, "xml", lambda _: written)
        response = _get(by_redirect(said, way.idp.key))
    assert response.status_code == 303, response.content
    assert not _is_live(session)


def test_a_session_whose_assertion_had_no_index_ends_with_its_name(way: Way) -> None:
    """SessionIndex is optional in assertions (SAML core section 2.7.2); a request that has one may be about this session."""
    unnamed, there, john = (
        _session(way, index=""),
        _session(way, index="index-2"),
        _session(way, name_id="john", index=""),
    )
    _get(by_redirect(_says(way), way.idp.key))
    assert [_is_live(s) for s in (unnamed, there, john)] == [False, True, True]


def test_a_request_names_sessions_by_name_and_index(way: Way) -> None:
    """By (connection, NameID, SessionIndex), whatever the user id is made of."""
    here, there, other = _session(way), _session(way, index="index-2"), _session(way, name_id="john")
    by_attribute = _session(way, name_id="mary", sub="guid-7", index="index-3")
    _get(by_redirect(_says(way), way.idp.key))
    assert [_is_live(s) for s in (here, there, other, by_attribute)] == [False, True, True, True]
    _get(by_redirect(_says(way, indexes=("index-3",)), way.idp.key))
    assert [_is_live(s) for s in (there, other, by_attribute)] == [True, True, False]
    _get(by_redirect(_says(way, indexes=("index-1",), name_id="nobody"), way.idp.key))
    assert _is_live(other)
    _get(by_redirect(_says(way, indexes=()), way.idp.key))
    assert [_is_live(s) for s in (there, other)] == [False, True]


def test_an_end_that_happened_already_is_a_success(way: Way) -> None:
    assert _get(by_redirect(_says(way), way.idp.key)).status_code == 303


def _refused(way: Way, response: HttpResponse, session: SSOSession) -> None:
    assert response.status_code == 400
    assert _is_live(session)
    assert LogoutEvent.objects.count() == 0


def test_an_unsigned_request_ends_nothing(way: Way) -> None:
    """By redirect and by form."""
    session = _session(way)
    _refused(way, _get(by_redirect(_says(way), None)), session)
    _refused(way, _post(by_form(_says(way), None)), session)


def test_a_foreign_signature_ends_nothing(way: Way) -> None:
    session, attacker = _session(way), the_key("attacker.example")
    _refused(way, _get(by_redirect(_says(way), attacker)), session)
    _refused(way, _post(by_form(_says(way), attacker)), session)
    _refused(way, _post(by_form(_says(way), way.idp.key, algorithm=xmlsec.Transform.RSA_SHA1)), session)


def _in_order(*names: str) -> Callable[[str], str]:
    """The parameters of a query in another order, each as it was encoded."""

    def reorder(query: str) -> str:
        parts = {part.partition("=")[0]: part for part in query.split("&")}
        return "&".join(parts[name] for name in names)

    return reorder


# What peers send: the signed string has the order of bindings 3.4.4.1, the query has none. Entra and ADFS (.NET) escape in lower
# case; the order is that of their sign-out requests, OneLogin's and php-saml's; the last ones are what links and proxies add.
SENT: dict[str, Callable[[str], str]] = {
    "Entra": _in_order("SAMLRequest", "Signature", "SigAlg", "RelayState"),
    "ADFS": _in_order("SAMLRequest", "SigAlg", "Signature", "RelayState"),
    "OneLogin": _in_order("SAMLRequest", "RelayState", "Signature", "SigAlg"),
    "state first": _in_order("RelayState", "SAMLRequest", "SigAlg", "Signature"),
    "signature first": _in_order("Signature", "SigAlg", "RelayState", "SAMLRequest"),
    "more at the end": lambda q: f"{q}&x=1",
    "more in front": lambda q: f"client-request-id=7f3c&{q}",
    "more between": lambda q: q.replace("&SigAlg", "&sso_reload=true&SigAlg"),
    "more without a value": lambda q: f"{q}&&x",
    "encoding named": lambda q: f"{q}&SAMLEncoding={quote(DEFLATE, safe='')}",
}


@pytest.mark.spec(
    "SAML 2.0", "bindings 3.4.4.1", "SP12 The signed string has its own order, whatever that of the query"
)
@pytest.mark.parametrize("peer", SENT)
@pytest.mark.parametrize("escapes", ["upper", "lower"])
def test_a_signed_query_counts_in_whatever_order_it_comes(way: Way, peer: str, escapes: str) -> None:
    session = _session(way)
    query = by_redirect(_says(way), way.idp.key, relay_state="the=irs", lower_case=escapes == "lower")
    response = _get(SENT[peer](query))
    assert response.status_code == 303, response.content
    assert not _is_live(session)
    assert parse_qs(urlsplit(response.headers["Location"]).query)["RelayState"] == ["the=irs"]


@pytest.mark.parametrize("signs_it", [True, False])
def test_an_empty_state_may_be_signed_or_left_out(way: Way, signs_it: bool) -> None:
    """The specification leaves it out of what is signed; some senders do not."""
    session = _session(way)
    query = by_redirect(_says(way), way.idp.key, sign_empty_state=signs_it)
    if not signs_it:
        query += "&RelayState="
    assert _get(query).status_code == 303
    assert not _is_live(session)


def test_a_plus_sign_that_nobody_escaped_is_one(way: Way) -> None:
    session = _session(way)
    query = by_redirect(_says(way), way.idp.key, safe="+/")
    assert _get(query).status_code == 303
    assert not _is_live(session)


QUERIES: dict[str, Callable[[str], str]] = {
    "twice": lambda q: f"{q}&{q.split('&')[0]}",
    "twice, in front": lambda q: f"{q.split('&')[0]}&{q}",
    "no algorithm": lambda q: "&".join(p for p in q.split("&") if not p.startswith("SigAlg")),
    "no signature": lambda q: q.partition("&Signature=")[0],
    "empty signature": lambda q: q.partition("&Signature=")[0] + "&Signature=",
    "algorithm none": lambda q: q.replace("rsa-sha256", "none"),
    "twice, its name escaped": lambda q: f"{q}&{q.split('&')[0].replace('SAMLRequest', 'SAML%52equest')}",
    "twice, once empty": lambda q: f"{q}&RelayState=",
    "algorithm twice": lambda q: f"{q}&{next(p for p in q.split('&') if p.startswith('SigAlg'))}",
    "signature twice": lambda q: f"{q}&{q.split('&')[-1]}",
    "escapes changed": lambda q: q.replace("%2F", "%2f", 1),
    "another encoding": lambda q: f"{q}&SAMLEncoding=urn:other",
    "encoded again": lambda q: q.replace("theirs", "%74heirs"),
    "state taken out": lambda q: q.replace("&RelayState=theirs", ""),
    "state changed": lambda q: q.replace("theirs", "ours"),
    "state added": lambda q: q.replace("&RelayState=theirs", "") + "&RelayState=ours",
    "answer beside it": lambda q: f"{q}&SAMLResponse=x",
}


@pytest.mark.parametrize("alteration", QUERIES)
def test_the_signature_is_over_the_values_as_they_came(way: Way, alteration: str) -> None:
    session = _session(way)
    query = by_redirect(_says(way), way.idp.key, relay_state="theirs")
    _refused(way, _get(QUERIES[alteration](query)), session)


def test_sha1_ends_nothing(way: Way) -> None:
    session = _session(way)
    _refused(way, _get(by_redirect(_says(way), way.idp.key, algorithm=RSA_SHA1)), session)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example/"},
        {"destination": "http://localhost:8000/samlp/Other/slo"},
        {"destination": ""},
        {"at": timedelta(minutes=-10)},
        {"at": timedelta(minutes=5)},
        {"not_on_or_after": timedelta(minutes=-2)},
        {"name_id": ""},
    ],
    ids=range(7),
)
@pytest.mark.parametrize("send", [lambda s, k: _get(by_redirect(s, k)), lambda s, k: _post(by_form(s, k))])
def test_a_request_for_somebody_else_ends_nothing(way: Way, changes: dict[str, Any], send: Any) -> None:
    session = _session(way)
    moved = {name: way.at + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    _refused(way, send(_says(way, **moved), way.idp.key), session)


def test_a_request_counts_once(way: Way) -> None:
    query = by_redirect(_says(way), way.idp.key)
    assert _get(query).status_code == 303
    later = _session(way)
    _refused(way, _get(query), later)


@pytest.mark.parametrize("body", ["SAMLRequest=", "SAMLRequest=%25", "SAMLRequest=PGEvPg%3D%3D", "x=1"])
def test_what_is_no_message_is_a_bad_request(way: Way, body: str) -> None:
    assert _post(body).status_code == 400
    assert _get(body).status_code == 400
    bomb = base64.b64encode(zlib.compress(b"<a>" + b" " * 50_000_000)[2:-4])
    assert _get(f"SAMLRequest={quote(bomb, safe='')}&SigAlg=x&Signature=x").status_code == 400


@pytest.mark.parametrize("changes", [{"enabled": False}, {"strategy": "oidc"}, {"name": "Other"}])
def test_only_a_usable_saml_connection_is_heard(way: Way, changes: dict[str, Any]) -> None:
    session = _session(way)
    Connection.objects.filter(pk=way.connection.pk).update(**changes)
    configuration.bump()
    assert _get(by_redirect(_says(way), way.idp.key)).status_code == 404
    assert _is_live(session)


@pytest.fixture
def leaving(way: Way) -> tuple[Client, SSOSession, str]:
    """A browser that left our session and was sent on; with the Location."""
    session = _session(way, make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT))
    client = browser(session)
    given = {"client_id": "quiet", "returnTo": OUT, "federated": ""}
    response = client.get("/v2/logout", given, headers=PAGE_VISIT)
    assert response.status_code in (302, 303), response.content
    return client, session, response.headers["Location"]


def _sent(location: str) -> tuple[Any, str]:
    parameters = parse_qs(urlsplit(location).query)
    return request_of(parameters["SAMLRequest"][0]), parameters["RelayState"][0]


@pytest.mark.spec("SAML 2.0", "profiles 4.4.3", "SP10 Our LogoutRequest is signed and names the session")
def test_federated_sign_out_asks_the_identity_provider(way: Way, leaving: tuple[Client, SSOSession, str]) -> None:
    client, session, location = leaving
    assert not _is_live(session)
    assert location.startswith(f"{THEIRS}?SAMLRequest=")
    check_query(location, own_key(way.at).certificate_pem)
    asked, state = _sent(location)
    name_id = asked.find("saml:NameID", NAMES)
    assert (name_id.text, name_id.get("Format"), name_id.get("SPNameQualifier")) == ("mary", "urn:x", "us")
    assert asked.findtext("samlp:SessionIndex", namespaces=NAMES) == "index-1"
    assert asked.get("Destination") == THEIRS

    answer = by_redirect(_says(way, in_response_to=asked.get("ID")), way.idp.key, relay_state=state)
    response = _get(answer, client)
    assert (response.status_code, response.headers["Location"]) == (303, OUT)
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"


@pytest.mark.parametrize(
    "order", ["SAMLResponse Signature SigAlg RelayState", "RelayState SigAlg Signature SAMLResponse"]
)
def test_an_answer_counts_in_whatever_order_it_comes(
    way: Way, leaving: tuple[Client, SSOSession, str], order: str
) -> None:
    client, _, location = leaving
    asked, state = _sent(location)
    said = _says(way, in_response_to=asked.get("ID"))
    query = by_redirect(said, way.idp.key, relay_state=state, lower_case=True)
    response = _get(_in_order(*order.split())(query) + "&x=1", client)
    assert (response.status_code, response.headers["Location"]) == (303, OUT)
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"


def test_what_we_send_is_signed_in_the_order_of_the_specification(way: Way) -> None:
    """Also where their address has a query of its own, which is not signed."""
    way.configure(signOutEndpoint=f"{THEIRS}?tenant=acme", signInEndpoint="https://idp.example/sso")
    location = _get(by_redirect(_says(way), way.idp.key, relay_state="theirs")).headers["Location"]
    assert location.startswith(f"{THEIRS}?tenant=acme&SAMLResponse=")
    names = [part.partition("=")[0] for part in urlsplit(location).query.split("&")]
    assert names == ["tenant", "SAMLResponse", "RelayState", "SigAlg", "Signature"]
    check_query(location.replace("tenant=acme&", ""), own_key(way.at).certificate_pem)


def test_an_answer_may_come_as_a_form(way: Way, leaving: tuple[Client, SSOSession, str]) -> None:
    """Our cookie does not come with it across sites; a form of ours brings it, and then a page leads on."""
    client, _, location = leaving
    asked, state = _sent(location)
    body = by_form(_says(way, in_response_to=asked.get("ID")), way.idp.key, relay_state=state)
    assert "curfew_reposted" in _post(body).content.decode()
    response = _post(f"{body}&curfew_reposted=1", client)
    assert OUT in response.content.decode()
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"


PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
ANSWERS: dict[str, dict[str, Any]] = {
    "unsigned": {},
    "foreign": {},
    "to another request": {"in_response_to": "_other"},
    "of another issuer": {"issuer": "https://other.example/"},
    "a no": {"status": '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Requester"/>'},
    "partial": {
        "status": '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success">'
        f'<samlp:StatusCode Value="{PARTIAL}"/></samlp:StatusCode>'
    },
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_proves_nothing_is_shown_as_such(
    way: Way, leaving: tuple[Client, SSOSession, str], kind: str
) -> None:
    client, _, location = leaving
    asked, state = _sent(location)
    said = _says(way, **{"in_response_to": asked.get("ID"), **ANSWERS[kind]})
    key = {"unsigned": None, "foreign": the_key("attacker.example")}.get(kind, way.idp.key)
    response = _get(by_redirect(said, key, relay_state=state), client)
    assert response.status_code == 303
    assert urlsplit(response.headers["Location"]).path.startswith("/logout/")
    assert LogoutTransaction.objects.get().upstream["standing"] == "failed"


@pytest.mark.parametrize("state", ["", "unknown", "https://evil.example/"])
def test_an_answer_that_nobody_waits_for_leads_nowhere(way: Way, state: str) -> None:
    """RelayState is never an address, and a second answer is none."""
    said = _says(way, in_response_to="_request")
    response = _get(by_redirect(said, way.idp.key, relay_state=state))
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_an_answer_counts_once(way: Way, leaving: tuple[Client, SSOSession, str]) -> None:
    client, _, location = leaving
    asked, state = _sent(location)
    query = by_redirect(_says(way, in_response_to=asked.get("ID")), way.idp.key, relay_state=state)
    assert _get(query, client).status_code == 303
    assert _get(query, client).status_code == 400


@pytest.mark.parametrize(
    "options",
    [
        {"disableSignout": True},
        {"metadataXml": metadata(key_descriptor(the_key().body)).replace("SingleLogoutService", "ManageNameIDService")},
    ],
    ids=["switched off", "no endpoint any more"],
)
def test_without_a_way_to_sign_out_there_the_browser_stays_here(way: Way, options: dict[str, Any]) -> None:
    way.configure(**options)
    session = _session(way, make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT))
    given = {"client_id": "quiet", "returnTo": OUT, "federated": ""}
    response = browser(session).get("/v2/logout", given, headers=PAGE_VISIT)
    assert not _is_live(session)
    assert urlsplit(response.headers["Location"]).netloc in ("app.example", "")


def test_a_key_of_ours_that_cannot_be_opened_any_more_keeps_nobody_signed_in(way: Way) -> None:
    """The session here ended before; the browser is told so, and what did not work there."""
    own_key(way.at)
    SamlKey.objects.update(sealed_private_key="sealed with a key that is gone")
    session = _session(way, make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT))
    given = {"client_id": "quiet", "returnTo": OUT, "federated": ""}
    client = browser(session)
    response = client.get("/v2/logout", given, headers=PAGE_VISIT)
    assert not _is_live(session)
    assert "cannot be reached" in client.get(response.headers["Location"]).content.decode()


def test_a_request_by_form_is_signed_inside(way: Way) -> None:
    way.configure(protocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", signOutEndpoint=THEIRS)
    session = _session(way, make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT))
    given = {"client_id": "quiet", "returnTo": OUT, "federated": ""}
    page = browser(session).get("/v2/logout", given, headers=PAGE_VISIT)
    fields = dict(page.context["fields"])
    message = etree.fromstring(base64.b64decode(fields["SAMLRequest"]))
    assert page.context["action"] == THEIRS
    assert message.find("ds:Signature", NAMES) is not None


@pytest.mark.parametrize("part", ["message", "signature"])
def test_what_is_no_base64_at_all_is_refused_in_words(way: Way, part: str) -> None:
    """Letters outside of ASCII, in a query and in a form."""
    message, signature = ("%C3%A9", "AAAA") if part == "message" else ("AAAA", "%C3%A9")
    algorithm = quote("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", safe="")
    assert _get(f"SAMLRequest={message}&SigAlg={algorithm}&Signature={signature}").status_code == 400
    assert _post(f"SAMLRequest={message}").status_code == 400
