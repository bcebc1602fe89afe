"""What an application that speaks SAML says of itself: `Application.saml`, in the names of Auth0's `addons.samlp`.

The callbacks of the application are its assertion consumer services, as at Auth0. Names that Auth0 does not have are said in
docs/saml-applications.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from idp import outbound
from idp.applications.problem import Problem
from idp.outbound import policy
from idp.protocol import uris
from idp.saml.application.reader import LONGEST_NAME, SettingsReader
from idp.saml.names import (
    DIGEST_ALGORITHMS,
    EMAIL_ADDRESS,
    PERSISTENT,
    POST,
    REDIRECT,
    SIGNATURE_ALGORITHMS,
    TRANSIENT,
    UNSPECIFIED,
)
from idp.saml.x509 import Certificate

if TYPE_CHECKING:
    from idp.models import Application

FIELD = "saml"
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MAPPINGS: Mapping[str, str] = {  # Auth0's: claim -> attribute
    "user_id": CLAIMS + "nameidentifier",
    "email": CLAIMS + "emailaddress",
    "name": CLAIMS + "name",
    "given_name": CLAIMS + "givenname",
    "family_name": CLAIMS + "surname",
    "upn": CLAIMS + "upn",
    "groups": "http://schemas.xmlsoap.org/claims/Group",
}
UNKNOWN_CLAIM = "http://schema.auth0.com/"
PROBES = (CLAIMS + "nameidentifier", CLAIMS + "emailaddress", CLAIMS + "name")
NAME_ID_FORMATS = (UNSPECIFIED, EMAIL_ADDRESS, PERSISTENT, TRANSIENT)
UNSPECIFIED_CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
LONGEST_STATE = 1024
OTHER_KEYS = ("next", "retiring")  # of ours, during a rotation (`idp.saml.own_key`)


@dataclass(frozen=True, slots=True)
class SamlSettings:
    """The settings in force; `entity_id` "" means that the application does not speak SAML."""

    entity_id: str = ""
    issuer: str = ""  # ours, where the application knows us by another name
    recipient: str = ""
    destination: str = ""
    acs_indexes: Mapping[str, str] = field(default_factory=dict)
    mappings: Mapping[str, str] = field(default_factory=lambda: MAPPINGS)
    passes_others_through: bool = True
    others_as_they_are: bool = False
    creates_upn: bool = True
    tells_identity: bool = True
    typed_attributes: bool = True
    attribute_name_format: bool = True
    name_id_format: str = UNSPECIFIED
    name_id_probes: tuple[str, ...] = PROBES
    context: str = ""
    signature_algorithm: str = "rsa-sha256"
    digest_algorithm: str = "sha256"
    signing_key: str = ""  # "next" or "retiring": which of our keys signs, as long as there is one
    signs_response: bool = False
    signs_assertion: bool = True
    lifetime: int = 3600
    certificates: tuple[Certificate, ...] = ()
    wants_signed_requests: bool = False
    encrypts_for: Certificate | None = None
    idp_initiated: bool = False
    relay_state: str = ""
    logout_url: str = ""
    logout_reply_url: str = ""
    logout_binding: str = POST
    soap_logout_url: str = ""
    metadata_url: str = ""

    def __bool__(self) -> bool:
        return bool(self.entity_id)

    @property
    def own_entity_id(self) -> str:
        return self.issuer or own_entity_id()


def own_entity_id() -> str:
    """`urn:` and our host, as at Auth0."""
    return f"urn:{settings.ISSUER_ORIGIN.partition('://')[2]}"


def consumers(application: Application) -> tuple[str, ...]:
    """Its assertion consumer services, the usual one first: the callbacks that a form may be posted to."""
    return tuple(uri for uri in application.usable.callbacks if uris.origin(uri))


def sso_url(application: Application) -> str:
    return f"{settings.ISSUER}samlp/{application.client_id}"


def metadata_url(application: Application) -> str:
    return f"{settings.ISSUER}samlp/metadata/{application.client_id}"


def logout_url(application: Application) -> str:
    return f"{settings.ISSUER}samlp/{application.client_id}/logout"


def problems(application: Application) -> Iterator[Problem]:
    given = application.saml
    if given == {}:
        return
    if not isinstance(given, Mapping):
        yield Problem(FIELD, "it must be an object like {audience: https://app.example.com}", is_used=False)
        return
    reader = SettingsReader(given)
    _settings(reader, application)
    for path, reason in reader.problems:
        yield Problem(FIELD, f"{path}: {reason}", depends=("redirect_uris", "outbound_hosts"), is_used=False)
    if application.client_id in RESERVED_IDS:
        reason = (
            f"{application.client_id} cannot be the client id of an application that speaks SAML: the address is taken"
        )
        yield Problem("client_id", reason, depends=(FIELD,))
    if not application.callbacks:
        yield Problem("redirect_uris", "an application that speaks SAML needs at least one: its ACS", depends=(FIELD,))


RESERVED_IDS = frozenset({"metadata", "slo", "logout"})  # parts of our own addresses below /samlp/


def read(application: Application) -> SamlSettings:
    """What may be used: none of it if any of it is wrong, since half of an agreement is none."""
    if not application.saml or any(True for _ in problems(application)):
        return SamlSettings()
    return _settings(SettingsReader(application.saml), application)


def columns(given: Any) -> dict[str, str]:
    """What the statement that plans logouts asks: where the application hears by SOAP, and by the browser. "": not."""
    logout = given.get("logout") if isinstance(given, Mapping) else None
    if not isinstance(logout, Mapping) or logout.get("slo_enabled") is False:
        return {"saml_soap_logout_uri": "", "saml_logout_uri": ""}
    soap, front = logout.get("soap"), logout.get("url", logout.get("callback"))
    return {
        "saml_soap_logout_uri": soap if isinstance(soap, str) and len(soap) <= uris.LONGEST else "",
        "saml_logout_uri": front if isinstance(front, str) and len(front) <= uris.LONGEST else "",
    }


def fill_columns(application: Application, save: dict[str, Any]) -> None:
    """Before it is saved, with these arguments: what follows from the settings is saved with them."""
    found = columns(application.saml)
    for column, uri in found.items():
        setattr(application, column, uri)
    if (fields := save.get("update_fields")) is not None and FIELD in fields:
        save["update_fields"] = {*fields, *found}


def _settings(reader: SettingsReader, application: Application) -> SamlSettings:
    logout = reader.inner("logout")
    found = SamlSettings(
        entity_id=reader.text("audience", longest=LONGEST_NAME),
        recipient=reader.text("recipient"),
        destination=reader.text("destination"),
        acs_indexes=reader.names("acsIndexes", check=lambda url: _registered(url, application)),
        context=reader.text("authnContextClassRef", longest=LONGEST_NAME),
        signs_response=reader.flag("signResponse", False),
        signs_assertion=reader.flag("signAssertion", reader.given.get("signResponse") is not True),
        certificates=reader.certificates("signingCert"),
        wants_signed_requests=reader.flag("wantsSignedRequests", bool(reader.given.get("signingCert"))),
        encrypts_for=next(iter(reader.certificates("encryptionCert", rsa=True)), None),
        idp_initiated=reader.flag("idpInitiated", False),
        relay_state=reader.text("relayState", longest=LONGEST_STATE),
        metadata_url=reader.text("metadataUrl", check=_fetched),
        **said_of_people(reader),
        **_logout(logout, application, reader.choice("binding", (POST, REDIRECT), POST)),
    )
    reader.done()
    reader.problems += logout.problems
    _together(reader, found)
    return found


def said_of_people(reader: SettingsReader) -> dict[str, Any]:
    """What an assertion says of somebody, and how it is signed: the same by SAML and by WS-Federation."""
    return {
        "issuer": reader.text("issuer", longest=LONGEST_NAME),
        "mappings": reader.names("mappings") if "mappings" in reader.given else MAPPINGS,
        "passes_others_through": reader.flag("passthroughClaimsWithNoMapping", True),
        "others_as_they_are": reader.flag("mapUnknownClaimsAsIs", False),
        "creates_upn": reader.flag("createUpnClaim", True),
        "tells_identity": reader.flag("mapIdentities", True),
        "typed_attributes": reader.flag("typedAttributes", True),
        "attribute_name_format": reader.flag("includeAttributeNameFormat", True),
        "name_id_format": reader.choice("nameIdentifierFormat", NAME_ID_FORMATS, UNSPECIFIED),
        "name_id_probes": reader.texts("nameIdentifierProbes") or PROBES,
        "signature_algorithm": reader.choice("signatureAlgorithm", tuple(SIGNATURE_ALGORITHMS), "rsa-sha256"),
        "digest_algorithm": reader.choice("digestAlgorithm", tuple(DIGEST_ALGORITHMS), "sha256"),
        "signing_key": reader.choice("signingKey", OTHER_KEYS, ""),
        "lifetime": reader.number("lifetimeInSeconds", 3600),
    }


def _logout(reader: SettingsReader, application: Application, binding: str) -> dict[str, Any]:
    """`url`, `responseUrl`, `soap` are ours; Auth0 has one `callback` for requests and answers, and a switch."""
    is_on = reader.flag("slo_enabled", True)
    callback = reader.text("callback", check=_browsed)
    url = reader.text("url", check=_browsed) or callback
    reply = reader.text("responseUrl", check=_browsed) or callback or url
    soap = reader.text("soap", check=lambda value: _told(value, application))
    reader.done()
    if not is_on:
        return {}
    return {
        "logout_url": url,
        "logout_reply_url": reply,
        "soap_logout_url": soap,
        "logout_binding": binding,
    }


def _together(reader: SettingsReader, found: SamlSettings) -> None:
    if not found.entity_id:
        reader.wrong("audience", "it is missing: the entity id by which the application calls itself")
    if not found.signs_response and not found.signs_assertion:
        reader.wrong("signAssertion", "the response, the assertion or both must be signed")
    if found.wants_signed_requests and not found.certificates:
        reader.wrong("signingCert", "it is missing: without it no signature of the application can be checked")


def _registered(url: str, application: Application) -> str | None:
    return None if url in application.callbacks else "it is none of the callbacks"


def _browsed(url: str) -> str | None:
    """Browsers are led there, with a message of ours."""
    if reason := uris.check_web_url(url):
        return reason
    return (
        "it must not be on the identity provider's own origin"
        if uris.origin(url) == uris.origin(settings.ISSUER)
        else None
    )


def _told(url: str, application: Application) -> str | None:
    return uris.check_backchannel_uri(url) or _out(url, outbound.rules().only_to(application.outbound_hosts))


def _fetched(url: str) -> str | None:
    return uris.check_web_url(url) or _out(url, outbound.rules())


def _out(url: str, rules: policy.Rules) -> str | None:
    reason = policy.check_url(url, rules)
    return f"it {reason}" if reason else None
