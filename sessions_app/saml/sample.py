"""What an application would be told of somebody, as the document that it gets: by the functions that make real ones, unsigned and
in clear, so that nobody is signed in by it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lxml import etree

from idp.models import User
from idp.saml.own_key import own_key
from sessions_app.claims.issue import ClaimSubject
from sessions_app.claims.preview import session_as_now
from sessions_app.saml import attributes, name_ids, response, sso
from sessions_app.saml.kept import SamlRequest
from sessions_app.saml.response import SamlAddressee, SamlStatement
from sessions_app.saml.sso import Party

INDEX = "_sample"


def document(party: Party, user: User, at: datetime) -> str:
    """Raises NoSuchName."""
    session, scope = session_as_now(user, at), attributes.scope_of(party.settings)
    subject = ClaimSubject(party.application, user, session, session.auth_time, party.snapshot, scope, at)
    told = attributes.attributes(subject, party.settings)
    name = name_ids.name_id("", user, party.application, told, party.snapshot, party.settings)
    settings = replace(party.settings, signs_response=False, signs_assertion=False, encrypts_for=None)
    request = SamlRequest(party.application.client_id, "_request", next(iter(party.application.usable.callbacks), ""))
    said = SamlStatement(
        name_id={
            "name_id": name.value,
            "name_id_format": name.format,
            "name_qualifier": name.name_qualifier,
            "sp_name_qualifier": name.sp_name_qualifier,
        },
        session_index=INDEX,
        auth_time=session.auth_time,
        session_ends_at=session.expires_at,
        context=sso.context_of(request, session, settings),
        attributes=told,
    )
    to = SamlAddressee(settings, request.acs, request.id)
    root = etree.fromstring(
        response.success(to, said, own_key(at, settings.signing_key), at, longest=settings.lifetime)
    )
    etree.indent(root)
    return str(etree.tostring(root, encoding="unicode"))
