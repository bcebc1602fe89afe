"""allauth's account adapter as far as sign-in goes. How sessions end is the subclass's, in the app that owns the door."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, F, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from idp import configuration
from idp.connections.registry import Purpose, usable_for
from idp.connections.upstream import UpstreamFault, UpstreamRefused
from idp.lookups import Given, Lookup
from idp.models import Identity, TenantSettings, User, began_before
from idp.protocol.opaque import digest, new_secret
from idp.requests import facts
from idp.tenants import rules
from sessions_app import attempts, binding, factors, lifecycle, sign_in
from sessions_app.destinations import is_ours
from sessions_app.models import AuthorizationCode, SSOSession

_IDENTITY = Lookup(
    lambda: (
        Identity.objects.filter(pk=Given("pk"), user=Given("user"))
        .select_related("connection")
        .annotate(
            config_version=configuration.VERSION,
            stored_password=F("user__password"),
            has_second_factor=factors.of(OuterRef("user")),
            open_sessions=_open_sessions_of(OuterRef("user")),
        )
    )
)


def _open_sessions_of(user: OuterRef) -> Coalesce:
    """How many sessions did not end yet, past their limits or not: enough to know when one is too many."""
    counted = SSOSession.objects.filter(user=user, ended_at=None).order_by().values("user").annotate(n=Count("pk"))
    return Coalesce(Subquery(counted.values("n"), output_field=IntegerField()), 0)


class SignInAdapter(DefaultAccountAdapter, ABC):
    @abstractmethod
    def end_replaced_session(self, request: HttpRequest, session: SSOSession) -> None:
        """End a session that a new sign-in replaces (another person in this browser) or pushes out (one too many)."""

    def pre_login(self, request: HttpRequest, user: User, **hooks: Any) -> HttpResponse | None:
        """The first factor is proved. What is looked up now answers whether there is a second, and serves `login()` if not."""
        response: HttpResponse | None = super().pre_login(request, user, **hooks)
        if response is None and (identity := _proved(request, user)):
            request.proved_identity = identity  # type: ignore[attr-defined]
            user.has_second_factor = identity.has_second_factor  # type: ignore[attr-defined]  # annotated
        return response

    def login(self, request: HttpRequest, user: User) -> None:
        """All factors are proved: begin the session. The order of the steps matters.

        `sign_in.complete` is the only way here: it recorded the identity. The same account in the same browser keeps its
        session (same `sid`, new `auth_time`, new cookie, old cookie dead); anybody else's session there is ended.
        """
        proof = sign_in.proof_of(request, user)
        identity: Identity | None = getattr(request, "proved_identity", None) or _proved(request, user)
        if proof is None or identity is None:
            raise PermissionDenied("what was proved in this browser is not enough")
        tenant = configuration.at(identity.config_version).tenant  # type: ignore[attr-defined]  # annotated
        opened = self._continue(request, identity, proof, tenant) or self._begin(request, identity, proof, tenant)
        request.session.flush()  # not cycle_key(), which would keep this sign-in's records for the next one
        request.user = user
        binding.replace_session(request, opened.session)
        request.sso_cookie = opened.cookie  # type: ignore[attr-defined]
        request.sso_tenant = tenant  # type: ignore[attr-defined]  # spares the middleware a statement
        if identity.login or identity.has_second_factor:  # type: ignore[attr-defined]  # annotated
            attempts.remember_device(request, identity)
        rotate_token(request)

    def _continue(
        self, request: HttpRequest, identity: Identity, proof: sign_in.Proof, tenant: TenantSettings
    ) -> lifecycle.Opened | None:
        session = binding.session_of(request)
        if session is None:
            return None
        if session.identity_id != identity.pk:
            self.end_replaced_session(request, session)
            return None
        return lifecycle.reauthenticate(
            session,
            amr=proof.amr,
            facts=facts(request),
            at=proof.at,
            upstream_sid=proof.upstream_sid,
            upstream=proof.upstream,
            tenant=tenant,
            cookie=binding.secret_of_form(request, identity.pk),
        )

    def _begin(
        self, request: HttpRequest, identity: Identity, proof: sign_in.Proof, tenant: TenantSettings
    ) -> lifecycle.Opened:
        """A form that was sent twice, at once or because its answer got lost, opens one session (ADR 28)."""
        cookie = binding.secret_of_form(request, identity.pk)
        try:
            return self._open(request, identity, proof, tenant, cookie)
        except lifecycle.OpenedAlready:
            return _opened_before(request, identity, proof, cookie) or self._open(
                request, identity, proof, tenant, new_secret()
            )

    def _open(
        self, request: HttpRequest, identity: Identity, proof: sign_in.Proof, tenant: TenantSettings, cookie: str
    ) -> lifecycle.Opened:
        opened = lifecycle.open_session(
            identity.user,
            connection=identity.connection,
            identity=identity,
            amr=proof.amr,
            facts=facts(request),
            at=proof.at,
            upstream_sid=proof.upstream_sid,
            upstream=proof.upstream,
            tenant=tenant,
            code_for=_code_for(request, identity, proof),
            attempt=getattr(request, "reserved_attempt", None),
            password=identity.stored_password if proof.password else None,  # type: ignore[attr-defined]  # annotated
            cookie=cookie,
        )
        request.reserved_attempt = None  # type: ignore[attr-defined]  # was given back
        allowed = rules.within(tenant, "max_sessions_per_user")
        if identity.open_sessions >= allowed:  # type: ignore[attr-defined]  # annotated: before this one
            live = SSOSession.objects.live(timezone.now()).filter(user=identity.user)
            for session in live.select_related("user", "connection").order_by("-auth_time", "-pk")[allowed:]:
                self.end_replaced_session(request, session)
        return opened

    def reauthenticate(self, user: User, password: str) -> bool:
        """Not through authenticate(): a user name is unambiguous only together with its connection."""
        try:
            return sign_in.proves_again(context.request, user, password, timezone.now())
        except attempts.TooManyAttempts:
            raise self.validation_error("too_many_login_attempts") from None
        except (UpstreamRefused, UpstreamFault) as error:
            raise ValidationError(error.sentence) from None

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, str]]:
        """allauth asks whether we keep a password; one that a directory keeps will do as well."""
        methods: list[dict[str, str]] = super().get_reauthentication_methods(user)
        known = {method["id"] for method in methods}
        if user.is_authenticated and "reauthenticate" not in known and sign_in.has_password(context.request, user):
            entry = {
                "id": "reauthenticate",
                "description": "Use your password",
                "url": reverse("account_reauthenticate"),
            }
            return [entry, *methods]
        return methods

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        return url is not None and is_ours(url)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At the issuer, whatever the Host header of the request said."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.ISSUER_ORIGIN}{path.replace('UID-KEY', key)}"

    def format_email_subject(self, subject: str) -> str:
        """Our templates name the tenant; allauth would put the host of a request before it."""
        return subject

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """A greeting would cost a row in Django's session for every sign-in; a verified address has a page of its own."""
        if message_template not in ("account/messages/logged_in.txt", "account/messages/email_confirmed.txt"):
            super().add_message(request, level, message_template, *args, **kwargs)


def _opened_before(
    request: HttpRequest, identity: Identity, proof: sign_in.Proof, cookie: str
) -> lifecycle.Opened | None:
    """The session that the other copy of this form opened, if it still lives; an application that waits here joins it."""
    live = SSOSession.objects.live(timezone.now()).filter(cookie_hash=digest(cookie), identity=identity)
    session = live.select_related("user", "connection").first()
    if session is None:
        return None
    code_for = _code_for(request, identity, proof)
    code = code_for(session) if code_for else None
    if code is not None and not lifecycle.join_for(code, session, facts=facts(request), at=timezone.now()):
        return None  # it ended at this moment
    return lifecycle.Opened(session, cookie)


def _code_for(
    request: HttpRequest, identity: Identity, proof: sign_in.Proof
) -> Callable[[SSOSession], AuthorizationCode | None] | None:
    """What writes the code of the authorization request that this sign-in answers, if the view knows of one."""
    waiting: Any = getattr(request, "waiting", None)
    if waiting is None:
        return None
    snapshot = configuration.at(identity.config_version)  # type: ignore[attr-defined]  # annotated
    return functools.partial(waiting.code_for, snapshot=snapshot, at=proof.at)


def _proved(request: HttpRequest, user: User) -> Identity | None:
    """The identity that was proved, unless person, password or connection changed meanwhile.

    A second factor may be waited for, or the hashing: an old password that is proved while its owner changes it opens nothing.
    """
    proof = sign_in.proof_of(request, user)
    identity = _IDENTITY.get(pk=proof.identity_pk, user=user.pk) if proof else None
    if proof is None or identity is None or not user.is_active or not usable_for(identity.connection, Purpose.SIGN_IN):
        return None
    stored = User(password=identity.stored_password)  # type: ignore[attr-defined]  # annotated
    if began_before(proof.at, identity.revoked_before):
        return None
    if proof.password and not constant_time_compare(proof.password, stored.get_session_auth_hash()):
        return None
    identity.user = user
    return identity
