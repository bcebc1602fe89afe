"""What happens to a well-formed authorization request: a code, a sign-in first, a question first, or an error.

`decide()` reads and writes nothing but what single sign-on needs; `issue_code()` is one INSERT (and the join, the first
time). The code that a sign-in answers with is written with its session (`lifecycle.open_session`).

A sign-in that the request forces (`prompt=login`, `max_age`) is proved by a *marker*: it says, signed and bound to this
request and this browser, when the browser was sent to the login page. Only a session proved after that moment satisfies
it, so that it can neither be skipped nor loop.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing

from idp.applications.subjects import subject_for
from idp.connections.registry import Purpose, usable_for
from idp.crypto import own_tokens
from idp.crypto.own_tokens import ID_TOKEN
from idp.directory.admission import is_admitted
from idp.http.requests import RequestFacts
from idp.models import Application, Connection, ResourceServer
from idp.protocol.errors import (
    AccessDenied,
    ConsentRequired,
    InteractionRequired,
    InvalidRequest,
    InvalidTarget,
    LoginRequired,
    UnauthorizedClient,
    UnmetAuthenticationRequirements,
)
from idp.protocol.jwt_profile import audiences
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from idp.protocol.standard_scopes import CLAIMS
from idp.tenants import profile, signals_api
from idp.tenants.configuration import Snapshot
from sessions_app.models import AuthorizationCode, Consent, SSOSession
from sessions_app.oauth import policies
from sessions_app.oauth.recipient import Recipient
from sessions_app.protocol import authorization, scopes
from sessions_app.protocol.authorization import MARKER, OURS, AuthorizationRequest
from sessions_app.session import assurance, lifecycle
from sessions_app.signin import factors

CODE_LIFETIME = timedelta(seconds=60)
MARKER_LIFETIME = timedelta(hours=1)
# Binds a marker to the browser that was sent to the login page.
BROWSER_COOKIE = settings.SSO_COOKIE_NAME.replace("sso", "authorize")
_SALT = "curfew.authorize.marker"


@dataclass(frozen=True, slots=True)
class Login:
    """The person has to sign in (again) first; why, in words for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class StepUp:
    """The person, who is signed in, has to prove a second factor first; why, in words for the log.

    `upstream`: where they signed in, which was not asked for this request yet; else here.
    """

    session: SSOSession
    reason: str
    upstream: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """The person has to allow these scopes first: more than would be granted, where `claims` names what they would give."""

    session: SSOSession
    scope: list[str]


@dataclass(frozen=True, slots=True)
class Proceed:
    """Everything is allowed: issue the code."""

    session: SSOSession
    scope: list[str]
    audience: str
    acr: str = ""  # the class that was asked for and reached, by the name that it was asked for


Decision = Login | StepUp | Ask | Proceed


class NotAdmitted(AccessDenied):
    """Who is signed in may not use the application; whom to ask, a page can say before the application hears of it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on beside the request itself."""

    application: Application
    session: SSOSession | None
    snapshot: Snapshot
    sent_to_login: datetime | None  # from a valid marker
    consented: frozenset[str] | None  # what was just allowed on the consent page of this very request
    at: datetime
    asked_upstream: bool = False  # the browser comes back from there, whatever it proved


def read(params: Params, to: Recipient, *, is_pushed: bool = False) -> AuthorizationRequest:
    """The request, if it follows the rules; the ProtocolError for the client else."""
    if not is_pushed and profile.needs_pushed_request(to.application, to.tenant):
        raise InvalidRequest("This application must push its authorization requests to /oauth/par.")
    return authorization.read(
        params,
        pkce_required=profile.needs_pkce(to.application, to.tenant),
        default_max_age=to.application.usable.default_max_age,
        default_acr_values=to.application.usable.default_acr_values,
    )


def check(request: AuthorizationRequest, application: Application, snapshot: Snapshot) -> ResourceServer | None:
    """What can be judged of a request before anybody signs in: the API that it is for. Raises ProtocolError."""
    if not application.allows_grant_type("authorization_code"):
        raise UnauthorizedClient("This client may not use the authorization code grant.")
    return _api(request, snapshot)


def decide(request: AuthorizationRequest, situation: Situation) -> Decision:
    """What comes next, or the ProtocolError for the client. Silent requests never become a page."""
    return weigh(request, situation, check(request, situation.application, situation.snapshot))


def weigh(request: AuthorizationRequest, situation: Situation, api: ResourceServer | None) -> Decision:
    """The same of a request that may be made, by whichever protocol."""
    application, session = situation.application, situation.session
    granted = scopes.grant(request.scope, api.scope_values if api else ())
    reason = _login_reason(request, situation)
    if reason or session is None:
        if request.silent:
            raise LoginRequired("Login required", detail=reason)
        return Login(reason)
    if not is_admitted(application, session.user, situation.snapshot):
        raise NotAdmitted("This account may not use the application.", detail="the application is not for this person")
    granted = policies.allowed(granted, api, session.user, situation.snapshot)
    if step_up := _step_up(request, session, situation):
        return step_up
    to_allow = [*granted, *_scopes_behind_claims(request, granted)]
    if _needs_consent(request, session, to_allow, situation):
        if request.silent:
            raise ConsentRequired("Consent required")
        return Ask(session, to_allow)
    reached = request.acr.met_by(assurance.level_of(session))
    return Proceed(session, granted, api.identifier if api else "", reached)


def issue_code(
    request: AuthorizationRequest,
    proceed: Proceed,
    application: Application,
    *,
    redirect_uri: str,
    facts: RequestFacts,
    at: datetime,
) -> str | None:
    """The code for the client, whose application takes part in the session from now on. None: the session ended meanwhile."""
    raw, code = new_code(request, proceed, application, redirect_uri=redirect_uri, at=at)
    return raw if lifecycle.join_for(code, proceed.session, facts=facts, at=at) else None


def new_code(
    request: AuthorizationRequest, proceed: Proceed, application: Application, *, redirect_uri: str, at: datetime
) -> tuple[str, AuthorizationCode]:
    """What the client gets, and the row to write."""
    raw = new_secret()
    asked: dict[str, Any] = {**_claims_to_keep(request, application)}
    if proceed.acr:
        asked["acr"] = proceed.acr
    return raw, AuthorizationCode(
        code=digest(raw),
        expires=at + CODE_LIFETIME,
        redirect_uri=redirect_uri,
        scope=" ".join(proceed.scope),
        code_challenge=request.code_challenge,
        code_challenge_method="S256" if request.code_challenge else "",
        nonce=request.nonce,
        claims=json.dumps(asked) if asked else "",
        audience=proceed.audience,
        dpop_jkt=request.dpop_jkt,
        application=application,
        user=proceed.session.user,
        session=proceed.session,
        created=at,
        updated=at,
    )


def remember_consent(session: SSOSession, application: Application, scope: list[str], at: datetime) -> None:
    consent, created = Consent.objects.get_or_create(
        user=session.user, application=application, defaults={"scopes": sorted(scope), "granted_at": at}
    )
    if not created and set(scope) - set(consent.scopes):
        consent.scopes, consent.granted_at = sorted({*consent.scopes, *scope}), at
        consent.save()


def mark(params: Params, browser: str, at: datetime) -> str:
    """The marker for a browser that is sent to the login page now."""
    facts = {"request": _fingerprint(params), "browser": digest(browser), "at": at.timestamp()}
    return signing.dumps(facts, salt=_SALT)


def sent_to_login(params: Params, browser: str, at: datetime) -> datetime | None:
    """When this browser was sent to the login page for this request; None without a marker that fits."""
    try:
        facts = signing.loads(params.get(MARKER, ""), salt=_SALT)
    except signing.BadSignature:
        return None
    if facts["request"] != _fingerprint(params) or facts["browser"] != digest(browser):
        return None
    moment = datetime.fromtimestamp(facts["at"], UTC)
    return moment if at - moment < MARKER_LIFETIME else None


def _fingerprint(params: Params) -> str:
    own = sorted((name, value) for name, value in params.pairs if name not in OURS)
    return hashlib.sha256(json.dumps(own).encode()).hexdigest()


def _api(request: AuthorizationRequest, snapshot: Snapshot) -> ResourceServer | None:
    targets = [target for target in request.targets if target != f"{settings.ISSUER}userinfo"]
    if len(targets) > 1:
        raise InvalidTarget("One API per request only.")
    if not targets:
        return snapshot.resource_server(signals_api.audience()) if signals_api.is_asked(request.scope) else None
    api = snapshot.resource_server(targets[0])
    if api is None:
        raise InvalidTarget("The requested API is not known.")
    return api


def _login_reason(request: AuthorizationRequest, situation: Situation) -> str:
    """Why a sign-in is needed, or ""."""
    session = situation.session
    if session is None:
        return "no session"
    proved = _signed_in_since(session, situation)
    if request.wants_login and not proved:
        return "prompt"
    if session.is_stale:
        return "the session must be proved again"
    if request.max_age is not None and not proved:
        age = (situation.at - session.auth_time).total_seconds()
        if request.max_age == 0 or age > request.max_age:
            return "max_age"
    if not _may_use(session.connection, situation):
        return _unless_proved("connection is not enabled for the application", proved)
    if request.connection and session.connection and _is_another(request.connection, session.connection, proved):
        return "another connection was asked for"
    return _hint_reason(request, situation, session, proved)


def _may_use(connection: Connection | None, situation: Situation) -> bool:
    """Whether people of the connection may use the application."""
    return connection is None or usable_for(connection, Purpose.SIGN_IN, situation.application, situation.snapshot)


def _unless_proved(reason: str, proved: bool) -> str:
    """A reason that another sign-in did not remove is the client's to hear, not one more login page's."""
    if proved:
        raise AccessDenied("This account may not use the application.", detail=reason)
    return reason


def _is_another(name: str, current: Connection, proved: bool) -> bool:
    """A name that no enabled connection has is ignored, as an unknown parameter would be."""
    if proved or name == current.name:
        return False
    return Connection.objects.filter(name=name, enabled=True).exists()


def _hint_reason(request: AuthorizationRequest, situation: Situation, session: SSOSession, proved: bool) -> str:
    user_id = session.user.user_id
    fits = _subjects_in_claims(request) <= {subject_for(user_id, situation.application, situation.snapshot)}
    if request.id_token_hint:
        fits = fits and _is_hint_about(user_id, request.id_token_hint, situation)
    if fits:
        return ""
    if proved:
        raise LoginRequired("The person who signed in is not the one that was asked for.")
    return "id_token_hint is about somebody else"


def _subjects_in_claims(request: AuthorizationRequest) -> set[str]:
    """The person that the `claims` parameter insists on (OpenID Connect Core section 5.5.1)."""
    asked = [place.get("sub") for place in request.claims.values()]
    return {str(sub["value"]) for sub in asked if isinstance(sub, dict) and "value" in sub}


def _is_hint_about(user_id: str, hint: str, situation: Situation) -> bool:
    """Whether an ID token of ours, expired or not, says this person's sub at its application. Anything else is InvalidRequest."""
    try:
        claims = own_tokens.claims_of(ID_TOKEN, hint, situation.snapshot)
    except ValueError as error:
        raise InvalidRequest("id_token_hint is not an ID token of this issuer.", detail=f"it {error}") from None
    issued_to = [situation.snapshot.application(client_id) for client_id in audiences(claims)]
    application = next(filter(None, issued_to), situation.application)
    return bool(claims["sub"] == subject_for(user_id, application, situation.snapshot))


def _step_up(request: AuthorizationRequest, session: SSOSession, situation: Situation) -> StepUp | None:
    """What the session has not proved though somebody insists on it, or the client wishes it and the person can prove it.

    `acr_values` are a wish (OpenID Connect Core section 3.1.2.1): who has no second factor goes on without, and `acr` says so.
    Of whom it is proved upstream nobody here knows whether they have one: the provider is asked, once.
    """
    upstream = assurance.is_proved_upstream(session) and not _asked_upstream(session, situation)
    if reason := assurance.missing(situation.application, session, situation.snapshot, spared_at=situation.at):
        if request.silent:
            raise InteractionRequired("A second factor is required.", detail=reason)
        return StepUp(session, reason, upstream)
    level, asked = assurance.level_of(session), request.acr
    if asked.preferred <= level:
        return None
    if request.silent:
        if not asked.met_by(level):
            raise UnmetAuthenticationRequirements("The session has not proved what acr asks for.")
        return None
    is_insisted_on = asked.essential and not asked.met_by(level)
    if upstream or is_insisted_on or factors.of_person(session.user):
        return StepUp(session, "acr", upstream)
    return None


def _asked_upstream(session: SSOSession, situation: Situation) -> bool:
    """By a step-up for this request, or by the sign-in for it, which asked for what is wanted too."""
    return situation.asked_upstream or _signed_in_since(session, situation)


def _signed_in_since(session: SSOSession, situation: Situation) -> bool:
    """Whether the person proved who they are after this browser was sent to do so for this request."""
    return situation.sent_to_login is not None and session.auth_time > situation.sent_to_login


def _needs_consent(
    request: AuthorizationRequest, session: SSOSession, to_allow: list[str], situation: Situation
) -> bool:
    if situation.consented is not None and set(to_allow) <= situation.consented:
        return False
    if "consent" in request.prompt:
        return True
    if situation.application.is_first_party:
        return False
    allowed = (
        Consent.objects.filter(user=session.user, application=situation.application)
        .values_list("scopes", flat=True)
        .first()
    )
    return allowed is None or bool(set(to_allow) - set(allowed))


def _scopes_behind_claims(request: AuthorizationRequest, granted: list[str]) -> list[str]:
    """What `claims` asks for by name, in the words of scopes: the person allows it as those.

    Also where a mapping makes a claim of such a name: mappings may be empty, fail or be gone when a token is used.
    """
    asked = {name for names in request.claims.values() for name in names}
    return [scope for scope, names in CLAIMS.items() if scope not in granted and asked & set(names)]


def _claims_to_keep(request: AuthorizationRequest, application: Application) -> dict[str, dict[str, None]]:
    """The claims by name that anybody could give: standard ones, which `decide()` asked about, and mapped ones, which an
    administrator gave. A token's own claims are neither.
    """
    standard = {name for names in CLAIMS.values() for name in names}
    known = standard | {mapping.claim for mapping in application.usable.claim_mappings}
    return {place: {name: None for name in asked if name in known} for place, asked in request.claims.items() if asked}
