"""Single sign-on by SAML (SAML profiles section 4.1): what an application asks is weighed as an authorization request is, and
answered with an assertion in which it takes part in the session from then on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from idp.crypto.spent import spend
from idp.http.requests import RequestFacts
from idp.models import Application
from idp.protocol.assurance import MULTI, REFEDS_MFA
from idp.protocol.errors import (
    AccessDenied,
    ConsentRequired,
    InteractionRequired,
    InvalidRequest,
    LoginRequired,
    ProtocolError,
    UnmetAuthenticationRequirements,
)
from idp.saml.application.reader import LONGEST_LIFETIME
from idp.saml.application.settings import SamlSettings
from idp.saml.names import TRANSIENT
from idp.saml.own_key import own_key
from idp.tenants import profile
from idp.tenants.configuration import Snapshot
from sessions_app.claims.issue import ClaimSubject
from sessions_app.models import SamlSubject, SSOSession
from sessions_app.oauth import authorize
from sessions_app.oauth.authorize import Decision, Login, Proceed, Situation
from sessions_app.protocol.authorization import AuthorizationRequest
from sessions_app.protocol.claims import methods
from sessions_app.saml import attributes, name_ids, response
from sessions_app.saml.authn_request import PASSWORD, UNSPECIFIED_CLASS
from sessions_app.saml.kept import LIFETIME, WSFED, SamlRequest
from sessions_app.saml.name_ids import NameId, NoSuchName
from sessions_app.saml.response import SamlAddressee, SamlStatement
from sessions_app.session import assurance, lifecycle

SPENT = "saml-request"
REMEMBERED = LIFETIME + timedelta(hours=1)  # longer than a request counts, on whatever way it comes
IPSIE_LIFETIME = 300  # seconds
NO_PASSIVE, NO_CONTEXT, DENIED = "NoPassive", "NoAuthnContext", "RequestDenied"
CODES: tuple[tuple[type[ProtocolError], str], ...] = (
    (LoginRequired, NO_PASSIVE),
    (InteractionRequired, NO_PASSIVE),
    (ConsentRequired, NO_PASSIVE),
    (UnmetAuthenticationRequirements, NO_CONTEXT),
    (AccessDenied, DENIED),
)
INVALID_NAME_ID_POLICY = ("Requester", "InvalidNameIDPolicy")


@dataclass(frozen=True, slots=True)
class Party:
    """The application that waits, as of one version of the configuration."""

    application: Application
    settings: SamlSettings
    snapshot: Snapshot

    def addressee(self, request: SamlRequest) -> SamlAddressee:
        return SamlAddressee(self.settings, request.acs, request.id)


def party_of(protocol: str, application: Application, snapshot: Snapshot) -> Party:
    usable = application.usable
    return Party(application, usable.wsfed.told if protocol == WSFED else usable.saml, snapshot)


class Used(InvalidRequest):
    """The request was answered before."""


def decide(request: SamlRequest, party: Party, session: SSOSession | None, at: datetime) -> Decision:
    """Proceed, Login or StepUp; Ask is never the answer. Raises ProtocolError for the application."""
    if request.context.unreachable:
        raise UnmetAuthenticationRequirements("There is no way here to what RequestedAuthnContext asks for.")
    prompt = {name for name, asked in (("none", request.passive), ("login", request.force)) if asked}
    asked = AuthorizationRequest(scope=[], prompt=frozenset(prompt), acr=request.context.acr, max_age=request.max_age)
    situation = Situation(
        application=party.application,
        session=session,
        snapshot=party.snapshot,
        sent_to_login=request.sent_to_login,
        consented=frozenset(),  # what it learns is its configuration: an administrator's to say, not asked of people
        at=at,
        asked_upstream=request.asked_upstream,
    )
    return authorize.weigh(asked, situation, None)


def asks_to_sign_in(
    request: SamlRequest, application: Application, session: SSOSession, snapshot: Snapshot, at: datetime
) -> bool:
    """Whether the request wants a proof that this session is not."""
    party = party_of(request.protocol, application, snapshot)
    try:
        return bool(party.settings) and isinstance(decide(request, party, session, at), Login)
    except ProtocolError:
        return False


def codes_of(error: ProtocolError | NoSuchName) -> tuple[str, str]:
    """The status that tells the application (SAML core section 3.2.2.2)."""
    if isinstance(error, NoSuchName):
        return INVALID_NAME_ID_POLICY
    return "Responder", next((code for kind, code in CODES if isinstance(error, kind)), DENIED)


def refused(request: SamlRequest, party: Party, codes: tuple[str, ...], at: datetime) -> bytes:
    return response.failure(party.addressee(request), codes, own_key(at, party.settings.signing_key), at)


def answered(request: SamlRequest, said: SamlStatement, party: Party, at: datetime) -> bytes:
    """The response, signed."""
    return response.success(
        party.addressee(request),
        said,
        own_key(at, party.settings.signing_key),
        at,
        longest=longest_lifetime(party.snapshot),
    )


def longest_lifetime(snapshot: Snapshot) -> int:
    """Seconds that an assertion may last."""
    return IPSIE_LIFETIME if profile.is_ipsie(snapshot.tenant) else LONGEST_LIFETIME


def stated(
    request: SamlRequest, proceed: Proceed, party: Party, facts: RequestFacts, at: datetime
) -> SamlStatement | None:
    """What is said of the person to an application that takes part in the session from now on. None: the session ended
    meanwhile, and nothing was written. Raises NoSuchName for the application, and Used, which is a page: it may have come from
    anywhere.
    """
    session = proceed.session
    told = attributes.attributes(_subject(session, party, at), party.settings)
    found = name_ids.name_id(
        request.name_id_format, session.user, party.application, told, party.snapshot, party.settings
    )
    known = SamlSubject.objects.filter(session=session, application=party.application).first()
    if known is not None and _is_renamed_by_anybody(request, known, found):
        raise NoSuchName(found.format)
    with transaction.atomic():
        subject = _participates(known, found, session, party, facts, at)
        if subject is None:
            return None
        if request.id and not spend(SPENT, party.settings.entity_id, request.id, expires_at=at + REMEMBERED):
            raise Used("This sign-in request was answered before. Start again at the application.")
    return SamlStatement(
        name_id=subject.as_named,
        session_index=subject.session_index,
        auth_time=session.auth_time,
        session_ends_at=session.expires_at,
        context=context_of(request, session, party.settings),
        attributes=told,
    )


def _is_renamed_by_anybody(request: SamlRequest, known: SamlSubject, name: NameId) -> bool:
    """Any page can have a browser ask in the name of an application that does not sign. Asking for another format, it would
    change the name by which the application is told of the end of the session, and asks for it."""
    return bool(request.name_id_format) and not request.is_proven and name.format != known.name_id_format


def _subject(session: SSOSession, party: Party, at: datetime) -> ClaimSubject:
    scope = attributes.scope_of(party.settings)
    return ClaimSubject(party.application, session.user, session, session.auth_time, party.snapshot, scope, at)


def _participates(
    known: SamlSubject | None, name: NameId, session: SSOSession, party: Party, facts: RequestFacts, at: datetime
) -> SamlSubject | None:
    """What the application knows the session by, kept for its end. None: it ended meanwhile.

    A transient name is one for the session, however often somebody comes back in it; another name that the person has got
    since is the one that counts.
    """
    row = SamlSubject(
        session=session,
        sid=session.sid,
        application=party.application,
        session_index=f"_{secrets.token_hex(16)}",
        name_id=name.value,
        name_id_format=name.format,
        name_qualifier=name.name_qualifier,
        sp_name_qualifier=name.sp_name_qualifier,
        issued_at=at,
    )
    if not lifecycle.join_with(row, session, facts=facts, at=at):
        return None
    if known is None and not row._state.adding:
        return row
    if known is None:  # another window was first
        known = SamlSubject.objects.get(session=session, application=party.application)
    if known.as_named == row.as_named or name.format == known.name_id_format == TRANSIENT:
        return known
    for field, value in row.as_named.items():
        setattr(known, field, value)
    known.save(update_fields=[*row.as_named])
    return known


def context_of(request: SamlRequest, session: SSOSession, settings: SamlSettings) -> str:
    """The class that was asked for and reached; else what the application was set to hear, or what the session proved."""
    level = assurance.level_of(session)
    if reached := request.context.reached(level):
        return reached
    if settings.context:
        return settings.context
    if level >= MULTI:
        return REFEDS_MFA
    return PASSWORD if "pwd" in methods(session.amr) else UNSPECIFIED_CLASS
