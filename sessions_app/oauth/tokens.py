"""A code, or an approved device, is exchanged for tokens. Liveness by parents; single use by one conditional write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce

from idp.applications import client_auth
from idp.applications.client_auth import Credentials
from idp.applications.subjects import subject_for
from idp.database.guarded import Guard, update_guard, write
from idp.database.lookups import Given, Lookup
from idp.http.requests import RequestFacts
from idp.models import Application, began_before
from idp.protocol.errors import InvalidGrant, InvalidTarget, UnauthorizedClient
from idp.protocol.opaque import digest
from idp.protocol.standard_scopes import OFFLINE_ACCESS
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import AccessToken, AuthorizationCode, RefreshTokenFamily, SSOSession
from sessions_app.oauth import dpop, minting, policies
from sessions_app.oauth.dpop import Presented
from sessions_app.protocol import claims, pkce, scopes
from sessions_app.session.gate import may_use
from sessions_app.session.writes import while_session_lives

FAMILIES_PER_USER_AND_APPLICATION = 200
_UNKNOWN_CODE = "Unknown, expired or used authorization code."


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """The parameters of a grant_type=authorization_code request."""

    code: str
    redirect_uri: str
    code_verifier: str = ""
    resources: tuple[str, ...] = ()
    presented: Presented = dpop.NOTHING


def exchange_code(request: CodeRequest, credentials: Credentials, facts: RequestFacts, at: datetime) -> dict[str, Any]:
    """The token answer, or ProtocolError. A wrong verifier burns the code; a replay revokes what the code made."""
    code = _load_code(request.code)
    snapshot = configuration.at(code.config_version) if code else configuration.current()
    application = client_auth.check(credentials, snapshot, at=at)
    require_grant(application, "authorization_code")
    if code is None or code.application_id != application.pk:
        raise InvalidGrant(_UNKNOWN_CODE)
    if code.used_at is not None:
        replayed(code, application, facts, at)
    _check_code(code, request, at)
    jkt = request.presented.spent_by(application)
    dpop.check_bound(code.dpop_jkt, jkt)
    if not may_use(application, code.session, code.session.user, snapshot):
        raise InvalidGrant(_UNKNOWN_CODE, detail="the application is not for this person, or not by this connection")
    grant = _grant_of(code, application, snapshot, request.resources, jkt)
    return issue(
        grant,
        snapshot,
        guard=update_guard(AuthorizationCode, code.pk, where={"used_at": None}, used_at=at),
        on_lost=lambda: replayed(code, application, facts, at),
        live_families=code.live_families,
        facts=facts,
        at=at,
    )


def issue(
    grant: minting.TokenGrant,
    snapshot: Snapshot,
    *,
    guard: Guard,
    on_lost: Callable[[], NoReturn],
    live_families: int,
    facts: RequestFacts,
    at: datetime,
) -> dict[str, Any]:
    """Write what the guard allows to write and answer with it; `on_lost` raises when somebody else was first."""
    family = _family_for(grant, snapshot, facts, at)
    raw_refresh, refresh = minting.refresh_token(grant, generation=0, at=at) if family else ("", None)
    access = minting.access_token(grant, snapshot, at)
    answer = minting.answer(grant, access, raw_refresh, snapshot, at)  # first: what cannot be made uses nothing up
    if grant.session:
        guard = while_session_lives(guard, grant.session.pk)
    if not write(guard, minting.rows_of(family, refresh, access)):
        on_lost()
    if family and live_families >= FAMILIES_PER_USER_AND_APPLICATION:
        _evict_oldest(grant, at)
    return answer


def live_families_of(user: str, application: str) -> Coalesce:
    """How many families the user of the outer row has at its application: an annotation, so that the cap costs no statement."""
    counted = (
        RefreshTokenFamily.objects.filter(user=OuterRef(user), application=OuterRef(application), revoked_at=None)
        .order_by()
        .values("user")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def require_grant(application: Application, grant_type: str) -> None:
    if not application.allows_grant_type(grant_type):
        raise UnauthorizedClient("This client may not use this grant type.")


def replayed(code: AuthorizationCode, application: Application, facts: RequestFacts, at: datetime) -> NoReturn:
    """RFC 6749 section 4.1.2: what a code made dies when it comes again."""
    with transaction.atomic():
        families = RefreshTokenFamily.objects.filter(code=code, revoked_at=None).update(
            revoked_at=at, revoke_reason="code_replayed"
        )
        tokens = AccessToken.rows.filter(code=code, revoked_at=None).update(revoked_at=at)
        if families or tokens:
            trail.record(
                EventType.AUTHORIZATION_CODE_REPLAYED, session=code.session, application=application, facts=facts, at=at
            )
    raise InvalidGrant(_UNKNOWN_CODE)


def _load_code(raw: str) -> AuthorizationCode | None:
    return _BY_CODE.get(code=digest(raw))


_BY_CODE = Lookup(
    lambda: (
        AuthorizationCode.objects.filter(code=Given("code"))
        .select_related("session__user", "session__connection")
        .annotate(config_version=configuration.VERSION, live_families=live_families_of("user", "application"))
    )
)


def _check_code(code: AuthorizationCode, request: CodeRequest, at: datetime) -> None:
    if code.expires <= at or not _is_alive(code, at):
        raise InvalidGrant(_UNKNOWN_CODE)
    if code.redirect_uri != request.redirect_uri:
        _burn(code, at)
        raise InvalidGrant("redirect_uri differs from the one of the authorization request.")
    if not pkce.verifies(request.code_verifier, code.code_challenge):
        _burn(code, at)
        raise InvalidGrant("code_verifier does not match.")


def _is_alive(code: AuthorizationCode, at: datetime) -> bool:
    session = code.session
    return (
        session.is_alive(at)
        and not session.is_stale
        and not began_before(code.created, code.session.user.revoked_before)
    )


def _burn(code: AuthorizationCode, at: datetime) -> None:
    AuthorizationCode.objects.filter(pk=code.pk, used_at=None).update(used_at=at)


def _grant_of(
    code: AuthorizationCode, application: Application, snapshot: Snapshot, resources: tuple[str, ...], jkt: str
) -> minting.TokenGrant:
    if set(resources) - {code.audience}:
        raise InvalidTarget("resource was not part of the authorization.")
    api, asked = minting.api_of(snapshot, code.audience), minting.claims_of(code.claims)
    return minting.TokenGrant(
        application=application,
        user=code.session.user,
        session=code.session,
        authentication=authentication_of(code.session, application, snapshot, acr=asked.pop("acr", "")),
        scope=policies.allowed(scopes.split(code.scope), api, code.session.user, snapshot),
        audience=code.audience,
        nonce=code.nonce,
        claims=asked,
        code_id=code.pk,
        jkt=jkt,
    )


def authentication_of(
    session: SSOSession, application: Application, snapshot: Snapshot, *, acr: str = ""
) -> claims.Authentication:
    """`acr`: the class that was asked for and reached, by the name that it was asked for."""
    sub, methods = subject_for(session.user.user_id, application, snapshot), claims.methods(session.amr)
    return claims.Authentication(
        sub, session.sid, session.auth_time, methods, acr, session_expires_at=session.expires_at
    )


def _family_for(
    grant: minting.TokenGrant, snapshot: Snapshot, facts: RequestFacts, at: datetime
) -> RefreshTokenFamily | None:
    """Offline by the scope, session-bound by the application's switch, or none."""
    application = grant.application
    if not application.allows_grant_type("refresh_token"):
        return None
    api = minting.api_of(snapshot, grant.audience)
    offline = OFFLINE_ACCESS in grant.scope and (api is None or api.allow_offline_access)
    if not offline and not application.issues_session_refresh_tokens:
        return None
    return minting.new_family(grant, offline=offline, facts=facts, at=at)


def _evict_oldest(grant: minting.TokenGrant, at: datetime) -> None:
    """More than 200 families of one user at one application: the oldest go, silently, as at Auth0."""
    mine = RefreshTokenFamily.objects.filter(user=grant.user, application=grant.application, revoked_at=None)
    newest_first = mine.order_by("-created_at", "-pk").values_list("pk", flat=True)
    evicted = list(newest_first[FAMILIES_PER_USER_AND_APPLICATION:])
    mine.filter(pk__in=evicted).update(revoked_at=at, revoke_reason="evicted")
