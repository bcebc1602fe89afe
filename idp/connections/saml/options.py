"""What an administrator says about a SAML identity provider: Auth0's option names, read into one typed value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from idp.connections.saml import idp_metadata
from idp.connections.saml.idp_metadata import BadMetadata, IdpMetadata
from idp.models import Strategy
from idp.protocol import assurance, uris
from idp.saml import x509
from idp.saml.names import POST, REDIRECT
from idp.saml.signed import Wanted
from idp.saml.x509 import BadCertificate, Certificate

ADFS_METADATA = "/FederationMetadata/2007-06/FederationMetadata.xml"
SIGNATURES = ("rsa-sha256",)  # of Auth0's names for signatureAlgorithm and digestAlgorithm, those without SHA-1
DIGESTS = ("sha256",)
MFA_CONTEXTS: Mapping[str, tuple[str, ...]] = {
    Strategy.ADFS: (assurance.MICROSOFT_MFA,),
    Strategy.SAML: (assurance.REFEDS_MFA, assurance.MICROSOFT_MFA),
}


@dataclass(frozen=True, slots=True)
class IdpInitiated:
    """Where somebody goes who comes from the identity provider without having been asked for."""

    client_id: str
    authorize_query: str = ""  # parameters of the authorization request that is made for them


@dataclass(frozen=True, slots=True)
class SamlOptions:
    """`entityId` is ours, as at Auth0; the identity provider's own is in its metadata or in `idpEntityId`."""

    metadata_url: str = ""
    metadata_xml: str = ""
    sign_in_endpoint: str = ""
    sign_out_endpoint: str = ""
    signing_certificates: tuple[Certificate, ...] = ()
    thumbprints: frozenset[str] = frozenset()
    entity_id: str = ""
    idp_entity_id: str = ""
    disable_signout: bool = False
    binding: str = ""  # "": the identity provider's choice, HTTP-Redirect first
    sign_requests: bool = False
    wants_signed: Wanted = Wanted.EITHER
    fields_map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user_id_attributes: tuple[str, ...] = ()
    idp_initiated: IdpInitiated | None = None
    trust_upstream_mfa: bool = False
    mfa_contexts: tuple[str, ...] = ()  # what it calls two factors: AuthnContext classes


class BadOptions(ValueError):
    """The options cannot be used; each argument is one sentence."""


def read(strategy: str, options: Mapping[str, Any]) -> SamlOptions:
    """Raises BadOptions with everything that is wrong."""
    reader = _Reader(options)
    found = SamlOptions(
        metadata_url=_metadata_url(strategy, reader),
        metadata_xml=reader.text(_document_key(strategy)),
        sign_in_endpoint=reader.url("signInEndpoint"),
        sign_out_endpoint=reader.url("signOutEndpoint"),
        signing_certificates=reader.certificates("signingCert"),
        thumbprints=frozenset(t.replace(":", "").replace(" ", "").upper() for t in reader.texts("thumbprints")),
        entity_id=reader.text("entityId", longest=1024),
        idp_entity_id=reader.text("idpEntityId", longest=1024),
        disable_signout=reader.flag("disableSignout"),
        binding=reader.choice("protocolBinding", (REDIRECT, POST)),
        sign_requests=reader.flag("signSAMLRequest"),
        wants_signed=Wanted(reader.choice("wants_signed", tuple(Wanted)) or Wanted.EITHER),
        fields_map=reader.fields_map(),
        user_id_attributes=reader.texts("user_id_attribute"),
        idp_initiated=reader.idp_initiated(),
        trust_upstream_mfa=reader.flag("trust_upstream_mfa"),
        mfa_contexts=reader.texts("mfa_acr_values") or MFA_CONTEXTS[strategy],
    )
    _check_algorithms(reader)
    _check_sources(strategy, found, reader)
    if reader.problems:
        raise BadOptions(*reader.problems)
    return found


def problems(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options, each with its path in front; nothing is fetched."""
    try:
        found = read(strategy, options)
    except BadOptions as error:
        return list(error.args)
    return _problems_of_metadata(strategy, found, timezone.now()) if found.metadata_xml else []


def _problems_of_metadata(strategy: str, found: SamlOptions, at: datetime) -> list[str]:
    key = _document_key(strategy)
    try:
        metadata = read_metadata(found)
    except BadMetadata as error:
        return [f"{key}: the document {error}."]
    if metadata.is_expired(at):
        return [f"{key}: the document was valid until {metadata.valid_until:%d %B %Y} only."]
    return []


def read_metadata(found: SamlOptions) -> IdpMetadata:
    """The pasted document. Raises BadMetadata."""
    return idp_metadata.read(found.metadata_xml.strip().encode())


def _document_key(strategy: str) -> str:
    return "fedMetadataXml" if strategy == Strategy.ADFS else "metadataXml"


def _metadata_url(strategy: str, reader: _Reader) -> str:
    """ADFS publishes its metadata at a path of its own; `adfs_server` is its host, or that URL."""
    if strategy != Strategy.ADFS:
        return reader.url("metadataUrl")
    server = reader.text("adfs_server", longest=1000)
    if not server:
        return ""
    url = server if "://" in server else f"https://{server}"
    if urlsplit(url).path in ("", "/"):
        url = url.rstrip("/") + ADFS_METADATA
    return reader.checked_url("adfs_server", url)


def _check_algorithms(reader: _Reader) -> None:
    for key, allowed in (("signatureAlgorithm", SIGNATURES), ("digestAlgorithm", DIGESTS)):
        value = reader.text(key)
        if value and value not in allowed:
            reader.problems.append(f"{key}: {value} is not supported, SHA-1 is broken; use {' or '.join(allowed)}.")


def _check_sources(strategy: str, found: SamlOptions, reader: _Reader) -> None:
    if found.metadata_url or found.metadata_xml or reader.problems:
        return
    if strategy == Strategy.ADFS:
        reader.problems.append(
            "adfs_server: give it or fedMetadataXml; thumbprints say which certificate is meant, but cannot check a signature."
        )
        return
    if not found.sign_in_endpoint:
        reader.problems.append("metadataUrl: give it, metadataXml, or signInEndpoint with signingCert.")
    elif not found.signing_certificates:
        reader.problems.append(
            "signingCert: is missing; without it no signature of the identity provider can be checked."
        )


class _Reader:
    """Options by name; what is wrong with them is collected."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self.problems: list[str] = []

    def text(self, key: str, *, longest: int = idp_metadata.LONGEST) -> str:
        value = self._options.get(key)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest or "\0" in value:
            self.problems.append(f"{key}: must be text of at most {longest:,} characters.")
            return ""
        return value.strip()

    def url(self, key: str) -> str:
        return self.checked_url(key, self.text(key, longest=2000))

    def checked_url(self, key: str, url: str) -> str:
        if url and (reason := uris.check_web_url(url)):
            self.problems.append(f"{key}: {reason}.")
        return url

    def flag(self, key: str) -> bool:
        value = self._options.get(key)
        if value not in (None, True, False):
            self.problems.append(f"{key}: must be true or false.")
        return value is True

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value and value not in choices:
            self.problems.append(f"{key}: must be {' or '.join(choices)}.")
            return ""
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """One text or several."""
        return self._texts(key, self._options.get(key))

    def certificates(self, key: str) -> tuple[Certificate, ...]:
        found: dict[str, Certificate] = {}
        for text in self.texts(key):
            try:
                found.update({certificate.pem: certificate for certificate in x509.read(text)})
            except BadCertificate as error:
                self.problems.append(f"{key}: {error}.")
        return tuple(found.values())

    def fields_map(self) -> dict[str, tuple[str, ...]]:
        """Field of the profile -> names of attributes, the first that has a value wins."""
        value = self._options.get("fieldsMap") or {}
        if not isinstance(value, dict):
            self.problems.append("fieldsMap: must map the names of profile fields to names of attributes.")
            return {}
        return {str(name): self._texts(f"fieldsMap.{name}", attributes) for name, attributes in value.items()}

    def idp_initiated(self) -> IdpInitiated | None:
        value = self._options.get("idpinitiated") or {}
        if not isinstance(value, dict):
            self.problems.append("idpinitiated: must be an object with enabled, client_id and client_authorizequery.")
            return None
        if value.get("enabled") is not True:
            return None
        client_id, query = value.get("client_id"), value.get("client_authorizequery") or ""
        if not isinstance(client_id, str) or not client_id:
            self.problems.append(
                "idpinitiated.client_id: is missing; people who come unasked must be led to an application."
            )
            return None
        if not isinstance(query, str):
            self.problems.append("idpinitiated.client_authorizequery: must be a query string like scope=openid.")
            return None
        return IdpInitiated(client_id, query)

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        values = [] if value in (None, "") else value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(item, str) and item.strip() for item in values):
            self.problems.append(f"{key}: must be a text or a list of texts.")
            return ()
        return tuple(item.strip() for item in values)
