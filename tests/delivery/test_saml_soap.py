"""Single logout by SOAP through the outbox, to pysaml2 as the application: it reads, believes and answers as it does for people."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from saml2 import BINDING_HTTP_POST, BINDING_SOAP

from idp.protocol.initiators import Initiator
from idp.saml import soap
from logout_app.delivery import redeliver
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutDelivery
from logout_app.protocol.retry import Answer, History, Outcome
from logout_app.protocol.saml import answer as saml_answer
from logout_app.protocol.saml.answer import ExpectedAnswer
from tests.delivery.conftest import running, wait_for
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.saml_sp import Form, path_of
from tests.support.upstreams.scripted_saml import the_key

ENTITY, ACS = "https://wiki.example/metadata", "https://wiki.example/acs"


class PySaml:
    """A service provider whose single logout service listens on loopback."""

    def __init__(self, folder: Path) -> None:
        self.key = the_key("pysaml.example")
        (folder / "key.pem").write_text(self.key.private)
        (folder / "cert.pem").write_text(self.key.certificate)
        self.folder, self.asked, self.broken = folder, [], False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.asked.append({"body": body, "headers": dict(self.headers)})
                answer = "" if provider.broken else provider.hears(body)
                self.send_response(503 if provider.broken else 200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slo"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def knows(self, metadata: str) -> None:
        # not above: they build XML schemas, which takes most of a second in whatever process collects this module
        from saml2.client import Saml2Client
        from saml2.config import SPConfig

        config = {
            "entityid": ENTITY,
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [(ACS, BINDING_HTTP_POST)],
                        "single_logout_service": [(self.url, BINDING_SOAP), (self.url, BINDING_HTTP_POST)],
                    },
                    "authn_requests_signed": True,
                    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",  # else it is SHA-1
                    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                    "logout_requests_signed": True,
                    "want_assertions_signed": True,
                    "want_response_signed": False,
                }
            },
            "metadata": {"inline": [metadata]},
            "key_file": str(self.folder / "key.pem"),
            "cert_file": str(self.folder / "cert.pem"),
        }
        self.client = Saml2Client(SPConfig().load(config))

    def signs_in(self, person: Client) -> None:
        request_id, info = self.client.prepare_for_authenticate(relay_state="/")
        form = Form.of(person.get(path_of(dict(info["headers"])["Location"])))
        outstanding = {request_id: "/"}
        response = self.client.parse_authn_request_response(form.fields["SAMLResponse"], BINDING_HTTP_POST, outstanding)
        self.name_id = response.name_id

    def hears(self, body: str) -> str:
        """The envelope is opened here: pysaml2 would write what is in it anew, with other prefixes, which no signature outlives."""
        message = base64.b64encode(soap.opened(body.encode())).decode()
        request = self.client.parse_logout_request(message, BINDING_HTTP_POST)
        if request.message.name_id.text != self.name_id.text or not self.client.local_logout(self.name_id):
            return answered("Requester", "UnknownPrincipal")
        response = self.client.create_logout_response(request.message, [BINDING_SOAP], sign=True)
        return soap.envelope(re.sub(r"^<\?xml[^>]*>\s*", "", str(response)).encode()).decode()

    @property
    def has_session(self) -> bool:
        try:
            return bool(self.client.users.issuers_of_info(self.name_id))
        except KeyError:  # it forgets the whole person
            return False


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[PySaml]:
    provider = PySaml(tmp_path)
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


@pytest.mark.django_db(transaction=True)
def test_a_worker_signs_somebody_out_of_an_application_and_tries_until_it_answers(wiki):
    application = make_application(
        "Wiki",
        redirect_uris=ACS,
        saml={"audience": ENTITY, "signingCert": wiki.key.certificate, "logout": {"soap": wiki.url}},
    )
    wiki.knows(Client().get(f"/samlp/metadata/{application.client_id}").content.decode())
    session = make_session(make_user())
    wiki.signs_in(browser(session))
    assert wiki.has_session
    wiki.broken = True
    end_sessions(
        Selection.session(session.pk),
        initiator=Initiator.SESSION_EXPIRED,
        actor="system",
        at=timezone.now(),
        offline_tokens=False,
    )
    with running():
        wait_for("pending")
        wiki.broken = False
        redeliver.deliveries(list(LogoutDelivery.objects.values_list("pk", flat=True)), at=timezone.now())
        wait_for("delivered", seconds=30.0)
    assert not wiki.has_session
    asked = wiki.asked[-1]
    assert asked["headers"]["Soapaction"] if "Soapaction" in asked["headers"] else asked["headers"]["SOAPAction"]
    assert "urn:oasis:names:tc:SAML:2.0:logout:admin" in asked["body"]
    row = LogoutDelivery.objects.get()
    assert (row.channel, row.last_reason) == ("saml_soap", "Success")


EXPECTED = ExpectedAnswer("_request", ENTITY, "https://id.example/samlp/wiki/logout")


def answered(*codes: str, to: str = "_request", issuer: str = ENTITY, more: str = "") -> str:
    inside = ""
    for code in reversed(codes):
        inside = f'<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{code}">{inside}</samlp:StatusCode>'
    message = (
        '<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1" Version="2.0"'
        f' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" InResponseTo="{to}" {more}>'
        f"{f'<saml:Issuer>{issuer}</saml:Issuer>' if issuer else ''}<samlp:Status>{inside}</samlp:Status></samlp:LogoutResponse>"
    )
    return soap.envelope(message.encode()).decode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, answered("Success"), Outcome.DELIVERED),
        (200, answered("Success", "PartialLogout"), Outcome.DELIVERED),
        (200, answered("Requester", "UnknownPrincipal"), Outcome.DELIVERED),
        (200, answered("Success", more=f'Destination="{EXPECTED.destination}"'), Outcome.DELIVERED),
        (200, answered("Success", to="_another"), Outcome.RETRY),
        (200, answered("Requester", "UnknownPrincipal", to="_another"), Outcome.RETRY),
        (200, answered("Success", issuer="https://another.example/metadata"), Outcome.RETRY),
        (200, answered("Success", issuer=""), Outcome.RETRY),
        (200, answered("Success", more='Destination="https://id.example/samlp/another/logout"'), Outcome.RETRY),
        (200, answered("Success", more='Destination=""'), Outcome.DELIVERED),
        (200, answered("Requester"), Outcome.REFUSED),
        (200, answered("Requester", to="_another"), Outcome.REFUSED),
        (200, answered("Responder"), Outcome.RETRY),
        (200, "<html>Sign in</html>", Outcome.RETRY),
        (200, "", Outcome.RETRY),
        (204, "", Outcome.RETRY),
        (200, '<!DOCTYPE a [<!ENTITY x "y">]>' + answered("Success"), Outcome.RETRY),
        (500, soap.fault("no").decode(), Outcome.RETRY),
        (404, "", Outcome.RETRY),
        (None, "", Outcome.RETRY),
    ],
)
def test_http_says_that_somebody_read_it_and_the_message_what_became_of_the_session(status, body, expected):
    history = History(1, None, timedelta(seconds=1), timedelta(days=1))
    answer = Answer(status, "" if status else "timeout", body)
    decision = saml_answer.decide(answer, history, at=timezone.now(), jitter=0.5, expected=EXPECTED)
    assert decision.outcome is expected
