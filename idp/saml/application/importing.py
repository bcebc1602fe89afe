"""What an application's metadata say, in the application's own settings; what an administrator chose besides stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import requests

from idp.outbound import gate, web
from idp.saml import sp_metadata
from idp.saml.application.settings import NAME_ID_FORMATS
from idp.saml.names import POST, REDIRECT, SOAP, UNSPECIFIED
from idp.saml.sp_metadata import BadSpMetadata, SpMetadata

if TYPE_CHECKING:
    from idp.models import Application


class NotImported(Exception):
    """The text is a sentence for the administrator."""


def fetch(url: str) -> SpMetadata:
    """Waits for somebody else's server: outside of transactions. Raises NotImported."""
    try:
        with gate.place(), web.session(body_limit=sp_metadata.LONGEST) as session:
            answer = session.get(url)
    except gate.NoPlace:
        raise NotImported(f"{url} was not asked: too many requests wait for other servers.") from None
    except requests.RequestException as error:
        raise NotImported(f"The metadata at {url} cannot be fetched: {error}.") from error
    if answer.status_code != 200:
        raise NotImported(f"The metadata at {url} cannot be fetched: the server answered {answer.status_code}.")
    return read(answer.content)


def read(document: bytes) -> SpMetadata:
    """Raises NotImported."""
    try:
        return sp_metadata.read(document)
    except BadSpMetadata as error:
        raise NotImported(f"The metadata {error}.") from error


def apply(application: Application, metadata: SpMetadata, at: datetime, *, url: str = "") -> None:
    """In memory; the rulebook judges what comes of it. Raises NotImported for what is over, and for another entity."""
    if metadata.valid_until is not None and metadata.valid_until <= at:
        raise NotImported(f"The metadata were valid until {metadata.valid_until:%d %B %Y} only.")
    given: dict[str, Any] = dict(application.saml)
    if given.get("audience") not in (None, "", metadata.entity_id):
        raise NotImported(
            f"The metadata are of {metadata.entity_id}, and this application is {given['audience']}: if that is meant, empty "
            "its audience first."
        )
    application.redirect_uris = " ".join(metadata.acs)
    given["audience"] = metadata.entity_id
    given["signingCert"] = [certificate.pem for certificate in metadata.certificates]
    given["wantsSignedRequests"] = _wants_signed(application.saml) or (
        metadata.signs_requests and bool(metadata.certificates)
    )
    given["acsIndexes"] = {index: acs for acs, index in metadata.acs.items() if index}
    given |= _logout(metadata, is_off=_is_off(application.saml))
    if "nameIdentifierFormat" not in given:
        wanted = next((name for name in metadata.name_id_formats if name in NAME_ID_FORMATS), UNSPECIFIED)
        given["nameIdentifierFormat"] = wanted
    if url:
        given["metadataUrl"] = url
    application.saml = given


def _wants_signed(given: Mapping[str, Any]) -> bool:
    """What was wanted stays: no document that is fetched each night lets in requests that anybody writes."""
    return given.get("wantsSignedRequests", bool(given.get("signingCert"))) is True


def _is_off(given: Mapping[str, Any]) -> bool:
    logout = given.get("logout")
    return isinstance(logout, Mapping) and logout.get("slo_enabled") is False


def _logout(metadata: SpMetadata, *, is_off: bool) -> dict[str, Any]:
    """By a form if it takes one: addresses have a length that signed requests soon have, too."""
    binding = next((name for name in (POST, REDIRECT) if name in metadata.logout), "")
    logout: dict[str, Any] = {}
    if binding:
        logout["url"] = metadata.logout[binding]
        logout["responseUrl"] = metadata.logout_replies.get(binding) or metadata.logout[binding]
    if SOAP in metadata.logout:
        logout["soap"] = metadata.logout[SOAP]
    if is_off:
        logout["slo_enabled"] = False
    return {"logout": logout, **({"binding": binding} if binding else {})}
