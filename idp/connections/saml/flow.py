"""Sign-in by SAML 2.0 web browser single sign-on (SAML profiles section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_noop

from idp.connections.contract import Account, Departure, SignInRequest, UpstreamFault
from idp.connections.saml import attributes, decryption, request, response, signatures
from idp.connections.saml.decryption import BadKey
from idp.connections.saml.logout import SIGNS_OUT
from idp.connections.saml.provider import SamlProvider, provider_of
from idp.connections.saml.response import Proven, Received
from idp.connections.saml.rules import ExpectedResponse
from idp.connections.saml.service import entity_id
from idp.crypto.spent import spend
from idp.models import Connection
from idp.protocol import assurance
from idp.protocol.params import Params
from idp.saml import sending, xml
from idp.saml.names import POST, saml
from idp.saml.own_key import own_key
from idp.saml.signed import UnknownSigner, Unproven
from idp.saml.structure import SKEW, BadResponse
from idp.saml.xml import Element, Unreadable

SPENT = "saml-assertion"
TRUE = ("true", "1")  # xs:boolean
UNPROVEN = gettext_noop(
    "What came from there is not signed as it must be, or cannot be opened here, so that it proves nothing. "
    "Your administrator can see why."
)
MICROSOFT_METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"
LONGEST_INDEX = 255  # SSOSession.upstream_sid


class SamlProtocol:
    def depart(
        self, connection: Connection, asked: SignInRequest, *, state: str, callback: str, at: datetime
    ) -> Departure:
        provider = provider_of(connection, at)
        binding = provider.sign_on_binding
        if not binding:
            raise UpstreamFault(f"{connection.name} has no sign-in endpoint for HTTP-Redirect or HTTP-POST")
        options = provider.options
        question = request.AuthnRequest(
            id=sending.new_id(),
            issuer=entity_id(connection, options),
            destination=provider.sign_on[binding],
            acs=callback,
            issued_at=at,
            force=asked.force,
            contexts=options.mfa_contexts if asked.two_factors and options.trust_upstream_mfa else (),
        )
        key = own_key(at) if provider.signs_requests else None
        flow_data = {"request_id": question.id}
        if binding == POST:
            fields = sending.post_fields("SAMLRequest", question.xml(), state, key)
            return Departure(question.destination, fields, flow_data)
        return Departure(
            sending.redirect_url(question.destination, "SAMLRequest", question.xml(), state, key), flow_data=flow_data
        )

    def arrive(
        self,
        connection: Connection,
        flow_data: Mapping[str, Any] | None,
        answer: Params,
        *,
        callback: str,
        at: datetime,
    ) -> Account:
        provider = provider_of(connection, at)
        if flow_data is None and provider.options.idp_initiated is None:
            raise UpstreamFault(
                f"{connection.name} sent somebody whom nobody asked for, and idpinitiated is not enabled"
            )
        request_id = str(flow_data["request_id"]) if flow_data is not None else None
        try:
            received = response.receive(answer.get("SAMLResponse", ""))
            proven = _proven(connection, provider, received, request_id, callback, at)
            account = _account(connection, provider, proven.assertion, at)
            _spend(connection, proven)
            signatures.note(connection, proven.signed)
        except Unproven as error:
            raise UpstreamFault(f"The response of {connection.name} {error}.", UNPROVEN) from error
        except (BadResponse, Unreadable) as error:
            raise UpstreamFault(f"The response of {connection.name} {error}.") from error
        except BadKey as error:
            raise UpstreamFault(f"The decryptionKey of {connection.name} {error}.") from error
        return account


def _proven(
    connection: Connection, provider: SamlProvider, received: Received, request_id: str | None, acs: str, at: datetime
) -> Proven:
    """With metadata by URL, an unknown signer may be a new key of theirs: then the metadata are read again, and so is this."""
    for_us = entity_id(connection, provider.options)
    expected = ExpectedResponse(provider.entity_id, for_us, acs, request_id, at)
    keys = decryption.private_keys(connection, at) if received.is_encrypted else [""]
    try:
        return response.prove(received, provider, expected, keys)
    except UnknownSigner:
        renewed = provider_of(connection, at, suspect=True)
        if renewed.certificates == provider.certificates:
            raise
        return response.prove(received, renewed, expected, keys)


def _account(connection: Connection, provider: SamlProvider, assertion: Element, at: datetime) -> Account:
    options = provider.options
    name_id, given = attributes.name_id_of(assertion), attributes.attributes_of(assertion)
    profile = attributes.profile_of(options, name_id, given)
    statement = assertion.find(saml("AuthnStatement"))
    auth_time = xml.instant(statement.get("AuthnInstant") or "")
    if auth_time > at + SKEW:
        raise BadResponse("says that somebody signed in in the future: compare the clocks")
    index = statement.get("SessionIndex") or ""
    if len(index) > LONGEST_INDEX:
        raise BadResponse(f"has a SessionIndex of more than {LONGEST_INDEX} characters")
    ends_at = statement.get("SessionNotOnOrAfter")
    said = str(profile.pop("email_verified", "")).lower()  # an attribute of it, where `fieldsMap` names one
    return Account(
        sub=attributes.user_id(options, name_id, given),
        email=str(profile.get("email", "")),
        email_verified=said in TRUE,
        email_denied=bool(said) and said not in TRUE,
        profile=profile,
        auth_time=min(auth_time, at),
        expires_at=xml.instant(ends_at) if ends_at else None,
        upstream_sid=index,
        has_proved_several=options.trust_upstream_mfa
        and assurance.vouches_for_several((), _contexts(statement, given), options.mfa_contexts),
        upstream={**name_id, SIGNS_OUT: bool(provider.logout)},
    )


def _contexts(statement: Element, given: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The AuthnContext, and the attribute in which Microsoft's providers list the methods beside it."""
    classes = statement.findall(f"{saml('AuthnContext')}/{saml('AuthnContextClassRef')}")
    return [(element.text or "").strip() for element in classes] + list(given.get(MICROSOFT_METHODS, []))


def _spend(connection: Connection, proven: Proven) -> None:
    """Once each: the id is remembered for as long as the assertion counts."""
    mark = hashlib.sha256(proven.assertion.get("ID").encode()).hexdigest()
    if not spend(SPENT, connection.public_id, mark, expires_at=proven.valid_until):
        raise BadResponse("was used before")
