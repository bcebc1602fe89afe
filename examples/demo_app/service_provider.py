"""The identity provider as an application that speaks SAML sees it. python3-saml writes and checks the messages; only the SOAP
binding, which it does not have, is spelt out here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from lxml import etree
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from examples.demo_app.sessions import Pending, Session
from examples.web import Request

ACS, LOGOUT, SOAP = "/acs", "/slo", "/slo/soap"
SOAP_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SIGNATURE = "/samlp:LogoutRequest/ds:Signature"
EMAIL, NAME = "mail", "displayName"  # as the application's mappings at Curfew say


class NotBelieved(Exception):
    """What the identity provider, or somebody in its name, sent cannot be accepted."""


FAILURES = (
    NotBelieved,
    OneLogin_Saml2_Error,
    OneLogin_Saml2_ValidationError,
    etree.XMLSyntaxError,
    ValueError,  # of python3-saml: no base64, no UTF-8, a DTD
    requests.RequestException,
)


@dataclass(frozen=True)
class AskedLogout:
    """A LogoutRequest (SAML core section 3.7.1); without `indexes` it means every session of the name."""

    id: str
    name_id: str
    indexes: list[str]


class ServiceProvider:
    """`metadata` is the address of the identity provider's; `key` and `certificate` are ours, in PEM."""

    def __init__(self, home: str, metadata: str, key: str, certificate: str) -> None:
        self.home, self._metadata, self._key, self._certificate = home, metadata, key, certificate
        self._lock = threading.Lock()
        self._settings: OneLogin_Saml2_Settings | None = None

    def sign_on_url(self, request: Request, pending: Pending) -> str:
        auth = self._auth(request)
        url = str(auth.login(return_to=pending.state))
        pending.request = auth.get_last_request_id()
        return url

    def sign_on(self, request: Request, pending: Pending) -> Session:
        """Whom the response names (SAML profiles section 4.1.4.3)."""
        auth = self._auth(request)
        auth.process_response(request_id=pending.request)
        _check(auth)
        told = auth.get_attributes()
        claims = {
            "sub": auth.get_nameid(),
            "sid": auth.get_session_index() or "",
            "email": next(iter(told.get(EMAIL, [])), ""),
            "name": next(iter(told.get(NAME, [])), ""),
        }
        return Session(claims, "", None)

    def sign_out_url(self, request: Request, session: Session, pending: Pending) -> str:
        auth = self._auth(request)
        url = str(
            auth.logout(
                return_to=pending.state,
                name_id=session.sub,
                session_index=session.sid,
                name_id_format=OneLogin_Saml2_Constants.NAMEID_PERSISTENT,
                nq=self._known().get_idp_data()["entityId"],
                spnq=f"{self.home}metadata",
            )
        )
        pending.request = auth.get_last_request_id()
        return url

    def check_signed_out(self, request: Request, pending: Pending) -> None:
        """The answer to our request, which the browser brings."""
        auth = self._auth(request)
        auth.process_slo(keep_local_session=True, request_id=pending.request)
        _check(auth)

    def asked_by_browser(self, request: Request) -> tuple[str, AskedLogout]:
        """Where the browser brings our answer, and what was asked."""
        auth = self._auth(request)
        url = auth.process_slo(keep_local_session=True)
        _check(auth)
        return str(url), _asked(auth.get_last_message_id(), auth.get_last_request_xml())

    def asked_by_soap(self, request: Request) -> AskedLogout:
        envelope = OneLogin_Saml2_XML.to_etree(request.body.encode())
        bodies = envelope.findall(f"{{{SOAP_ENVELOPE}}}Body")
        if len(bodies) != 1 or len(bodies[0]) != 1:
            raise NotBelieved("This is not a SOAP envelope with one message.")
        message = etree.tostring(bodies[0][0], with_tail=False)
        self._check_signature(message)
        settings = self._known()
        asked = OneLogin_Saml2_Logout_Request(settings, request=OneLogin_Saml2_Utils.b64encode(message))
        # That a signature is in the query is all that it would ask for; ours is in the message.
        asked.is_valid({**self._facts(request), "get_data": {"Signature": "in the message"}}, raise_exceptions=True)
        return _asked(asked.id, message)

    def answer_by_soap(self, request_id: str) -> str:
        """That it is done, signed, in an envelope."""
        built = OneLogin_Saml2_Logout_Response(self._known())
        built.build(request_id)
        signed = OneLogin_Saml2_Utils.add_sign(built.get_xml(), self._key, self._certificate)
        return f'<soap:Envelope xmlns:soap="{SOAP_ENVELOPE}"><soap:Body>{signed.decode()}</soap:Body></soap:Envelope>'

    def _check_signature(self, message: bytes) -> None:
        """Over the whole message, by a key of the identity provider; one that it has since this morning is asked for once."""
        root = OneLogin_Saml2_XML.to_etree(message)
        references = [node.get("URI") for node in OneLogin_Saml2_XML.query(root, f"{SIGNATURE}//ds:Reference")]
        if references != [f"#{root.get('ID')}"]:
            raise NotBelieved("The signature is not of this message.")
        for fresh in (False, True):
            certificates = self._known(fresh).get_idp_data()
            keys = certificates.get("x509certMulti", {}).get("signing") or [certificates["x509cert"]]
            if any(OneLogin_Saml2_Utils.validate_sign(message, cert=key, xpath=SIGNATURE) for key in keys):
                return
        raise NotBelieved("The message is not signed by the identity provider.")

    def _auth(self, request: Request) -> OneLogin_Saml2_Auth:
        """Who brings a message gets the keys of this moment; who asks needs none."""
        return OneLogin_Saml2_Auth(self._facts(request), old_settings=self._known(request.path in (ACS, LOGOUT)))

    def _facts(self, request: Request) -> dict[str, Any]:
        parts = urlsplit(self.home)
        return {
            "https": "on" if parts.scheme == "https" else "off",
            "http_host": parts.netloc,
            "script_name": request.path,
            "get_data": dict(parse_qsl(request.query_string)),
            "post_data": request.form,
            "query_string": request.query_string,
        }

    def _known(self, fresh: bool = False) -> OneLogin_Saml2_Settings:
        with self._lock:
            if self._settings is None or fresh:
                response = requests.get(self._metadata, timeout=10)
                response.raise_for_status()
                idp = OneLogin_Saml2_IdPMetadataParser.parse(response.content)["idp"]
                self._settings = OneLogin_Saml2_Settings({"strict": True, "sp": self._ours(), "idp": idp, **SECURITY})
            return self._settings

    def _ours(self) -> dict[str, Any]:
        return {
            "entityId": f"{self.home}metadata",
            "assertionConsumerService": {"url": f"{self.home.rstrip('/')}{ACS}"},
            "singleLogoutService": {
                "url": f"{self.home.rstrip('/')}{LOGOUT}",
                "binding": OneLogin_Saml2_Constants.BINDING_HTTP_REDIRECT,
            },
            "NameIDFormat": OneLogin_Saml2_Constants.NAMEID_PERSISTENT,
            "x509cert": self._certificate,
            "privateKey": self._key,
        }


SECURITY = {
    "security": {
        "authnRequestsSigned": True,
        "logoutRequestSigned": True,
        "logoutResponseSigned": True,
        "wantAssertionsSigned": True,
        "wantMessagesSigned": True,
        "wantAttributeStatement": False,
        "requestedAuthnContext": False,
        "rejectDeprecatedAlgorithm": True,
    }
}


def _check(auth: OneLogin_Saml2_Auth) -> None:
    if auth.get_errors():
        raise NotBelieved(auth.get_last_error_reason() or ", ".join(auth.get_errors()))


def _asked(request_id: str, message: str | bytes) -> AskedLogout:
    indexes = OneLogin_Saml2_Logout_Request.get_session_indexes(message)
    return AskedLogout(request_id, OneLogin_Saml2_Logout_Request.get_nameid(message), indexes)
