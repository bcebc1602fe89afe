"""What an application that speaks SAML says of itself: `Application.saml`, in the names of Auth0's `addons.samlp`.

The callbacks of the application are its assertion consumer services, as at Auth0. Names that Auth0 does not have are said in
docs/saml-applications.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from idp import outbound
from idp.applications.problem import Problem
from idp.outbound import policy
from idp.protocol import uris
from idp.protocol.text import storable
from idp.saml import x509
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
from idp.saml.x509 import BadCertificate, Certificate

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
LONGEST_NAME = 1024
LONGEST_STATE = 1024
LONGEST_CERTIFICATES = 100_000
MOST_ENTRIES = 200
LONGEST_LIFETIME = 86_400  # seconds


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
    reader = _Reader(given)
    reader.settings(application)
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
    return _Reader(application.saml).settings(application)


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


class _Reader:
    """The settings by name; what is wrong with them is collected as (path, reason)."""

    def __init__(self, given: Mapping[str, Any], path: str = "") -> None:
        self._given, self._path = given, path
        self._known: set[str] = set()
        self.problems: list[tuple[str, str]] = []

    def settings(self, application: Application) -> SamlSettings:
        mappings = self._names("mappings") if "mappings" in self._given else MAPPINGS
        logout = self._inner("logout")
        found = SamlSettings(
            entity_id=self._text("audience", longest=LONGEST_NAME),
            issuer=self._text("issuer", longest=LONGEST_NAME),
            recipient=self._text("recipient"),
            destination=self._text("destination"),
            acs_indexes=self._names("acsIndexes", check=lambda url: _registered(url, application)),
            mappings=mappings,
            passes_others_through=self._flag("passthroughClaimsWithNoMapping", True),
            others_as_they_are=self._flag("mapUnknownClaimsAsIs", False),
            creates_upn=self._flag("createUpnClaim", True),
            tells_identity=self._flag("mapIdentities", True),
            typed_attributes=self._flag("typedAttributes", True),
            attribute_name_format=self._flag("includeAttributeNameFormat", True),
            name_id_format=self._choice("nameIdentifierFormat", NAME_ID_FORMATS, UNSPECIFIED),
            name_id_probes=self._texts("nameIdentifierProbes") or PROBES,
            context=self._text("authnContextClassRef", longest=LONGEST_NAME),
            signature_algorithm=self._choice("signatureAlgorithm", tuple(SIGNATURE_ALGORITHMS), "rsa-sha256"),
            digest_algorithm=self._choice("digestAlgorithm", tuple(DIGEST_ALGORITHMS), "sha256"),
            signs_response=self._flag("signResponse", False),
            signs_assertion=self._flag("signAssertion", self._given.get("signResponse") is not True),
            lifetime=self._number("lifetimeInSeconds", 3600),
            certificates=self._certificates("signingCert"),
            wants_signed_requests=self._flag("wantsSignedRequests", bool(self._given.get("signingCert"))),
            encrypts_for=next(iter(self._certificates("encryptionCert", rsa=True)), None),
            idp_initiated=self._flag("idpInitiated", False),
            relay_state=self._text("relayState", longest=LONGEST_STATE),
            metadata_url=self._text("metadataUrl", check=_fetched),
            **logout._logout(application, self._choice("binding", (POST, REDIRECT), POST)),
        )
        self._done()
        self.problems += logout.problems
        self._together(found)
        return found

    def _logout(self, application: Application, binding: str) -> dict[str, str]:
        """`url`, `responseUrl`, `soap` are ours; Auth0 has one `callback` for requests and answers, and a switch."""
        is_on = self._flag("slo_enabled", True)
        callback = self._text("callback", check=_browsed)
        url = self._text("url", check=_browsed) or callback
        reply = self._text("responseUrl", check=_browsed) or callback or url
        soap = self._text("soap", check=lambda value: _told(value, application))
        self._done()
        if not is_on:
            return {}
        return {
            "logout_url": url,
            "logout_reply_url": reply,
            "soap_logout_url": soap,
            "logout_binding": binding,
        }

    def _together(self, found: SamlSettings) -> None:
        if not found.entity_id:
            self._wrong("audience", "it is missing: the entity id by which the application calls itself")
        if not found.signs_response and not found.signs_assertion:
            self._wrong("signAssertion", "the response, the assertion or both must be signed")
        if found.wants_signed_requests and not found.certificates:
            self._wrong("signingCert", "it is missing: without it no signature of the application can be checked")

    def _wrong(self, key: str, reason: str) -> None:
        self.problems.append((f"{self._path}{key}", reason))

    def _get(self, key: str) -> Any:
        self._known.add(key)
        return self._given.get(key)

    def _done(self) -> None:
        for key in self._given:
            if key not in self._known:
                self._wrong(str(key), "it is not known here")

    def _inner(self, key: str) -> _Reader:
        value = self._get(key)
        if value is not None and not isinstance(value, Mapping):
            self._wrong(key, "it must be an object")
            value = None
        return _Reader(value or {}, f"{self._path}{key}.")

    def _text(self, key: str, *, longest: int = uris.LONGEST, check: Callable[[str], str | None] | None = None) -> str:
        value = self._get(key)
        if value is None or value == "":
            return ""
        if not isinstance(value, str) or len(value) > longest or not value.isprintable() or value.strip() != value:
            self._wrong(key, f"it must be printable text of at most {longest:,} characters")
            return ""
        if check and (reason := check(value)):
            self._wrong(key, reason)
        return value

    def _flag(self, key: str, default: bool) -> bool:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(key, "it must be true or false")
        return value is True

    def _choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self._get(key)
        if value is None or value == "":
            return default
        if value not in choices:
            self._wrong(key, f"it must be one of {', '.join(choices)}")
            return default
        return str(value)

    def _number(self, key: str, default: int) -> int:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LONGEST_LIFETIME:
            self._wrong(key, f"it must be a number of seconds from 1 to {LONGEST_LIFETIME:,}")
            return default
        return value

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if value in (None, ""):
            return ()
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_ENTRIES or not all(_is_name(item) for item in values):
            self._wrong(key, "it must be a list of names")
            return ()
        return tuple(values)

    def _names(self, key: str, *, check: Callable[[str], str | None] | None = None) -> dict[str, str]:
        value = self._get(key) or {}
        if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
            self._wrong(key, "it must be an object")
            return {}
        for name, other in value.items():
            if not _is_name(name) or not _is_name(other):
                self._wrong(f"{key}.{str(name)[:50]}", "it must be printable text")
                return {}
            if check and (reason := check(other)):
                self._wrong(f"{key}.{name}", reason)
        return dict(value)

    def _certificates(self, key: str, *, rsa: bool = False) -> tuple[Certificate, ...]:
        """PEM, one or several one after the other, or a list of them."""
        value = self._get(key)
        if value in (None, "", []):
            return ()
        texts = value if isinstance(value, list) else [value]
        found: dict[str, Certificate] = {}
        for text in texts:
            if not isinstance(text, str) or len(text) > LONGEST_CERTIFICATES or storable.problem(text):
                self._wrong(key, "it must be a certificate in PEM")
                return ()
            try:
                found.update({certificate.pem: certificate for certificate in x509.read(text)})
            except BadCertificate as error:
                self._wrong(key, f"it {error}")
        if rsa and any(not certificate.is_rsa for certificate in found.values()):
            self._wrong(key, "it must hold an RSA key: assertions are encrypted for it")
        return tuple(found.values())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


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
