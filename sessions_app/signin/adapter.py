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
from django.core.mail import EmailMessage
from django.db.models import Count, F, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import get_language, gettext

from idp.branding import mails
from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.registry import Purpose, usable_for
from idp.database.lookups import Given, Lookup
from idp.http import languages
from idp.http.requests import facts
from idp.models import Identity, User, began_before
from idp.protocol.opaque import digest, new_secret
from idp.tenants import configuration, rules
from sessions_app.models import AuthorizationCode, SSOSession
from sessions_app.session import binding, lifecycle
from sessions_app.signin import attempts, factors, passkey_enrolment, remembered, sign_in
from sessions_app.signin.destinations import is_ours
from sessions_app.signin.under_way import Proved, sign_in_of

_IDENTITY = Lookup(
    lambda: (
        Identity.objects.filter(pk=Given("pk"), user=Given("user"))
        .select_related("connection")
        .annotate(
            config_version=configuration.VERSION,
            stored_password=F("user__password"),
            has_second_factor=factors.of(OuterRef("user")),
            open_sessions=_open_sessions_of(OuterRef("user")),
            declined_passkey_at=F("user__passkey_declined_at"),
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
        if response is None and (proved := _proved(request, user)):
            under_way = sign_in_of(request)
            under_way.proved = proved
            under_way.offers_passkey = under_way.can_keep_passkey and passkey_enrolment.is_offered(proved)
            if under_way.may_be_spared and proved.has_second_factor:
                under_way.remembered_until = remembered.until(request, user, proved.snapshot.tenant, proved.proof.at)
            asks = proved.has_second_factor and under_way.remembered_until is None
            user.has_second_factor = asks  # type: ignore[attr-defined]  # read by `factors`
        return response

    def login(self, request: HttpRequest, user: User) -> None:
        """All factors are proved: begin the session. The order of the steps matters.

        `sign_in.complete` is the only way here: it recorded the identity. The same account in the same browser keeps its
        session (same `sid`, new `auth_time`, new cookie, old cookie dead); anybody else's session there is ended.
        """
        proved = sign_in_of(request).proved or _proved(request, user)
        if proved is None:
            raise PermissionDenied("what was proved in this browser is not enough")
        opened = self._continue(request, proved) or self._begin(request, proved)
        request.session.flush()  # not cycle_key(), which would keep this sign-in's records for the next one
        request.user = user
        binding.browser_of(request).holds(opened.session, opened.cookie, proved.snapshot.tenant)
        if proved.is_known_by_browser:
            attempts.remember_device(request, proved.identity)
        rotate_token(request)

    def _continue(self, request: HttpRequest, proved: Proved) -> lifecycle.Opened | None:
        session, proof = binding.session_of(request), proved.proof
        if session is None:
            return None
        if session.identity_id != proved.identity.pk:
            self.end_replaced_session(request, session)
            return None
        return lifecycle.reauthenticate(
            session,
            amr=proof.amr,
            facts=facts(request),
            at=proof.at,
            upstream_sid=proof.upstream_sid,
            upstream=proof.upstream,
            tenant=proved.snapshot.tenant,
            cookie=binding.secret_of_form(request, proved.identity.pk),
            remembered_until=sign_in_of(request).remembered_until,
            passkey=proof.passkey,
        )

    def _begin(self, request: HttpRequest, proved: Proved) -> lifecycle.Opened:
        """A form that was sent twice, at once or because its answer got lost, opens one session (ADR 28)."""
        cookie = binding.secret_of_form(request, proved.identity.pk)
        try:
            return self._open(request, proved, cookie)
        except lifecycle.OpenedAlready:
            return _opened_before(request, proved, cookie) or self._open(request, proved, new_secret())

    def _open(self, request: HttpRequest, proved: Proved, cookie: str) -> lifecycle.Opened:
        under_way, proof = sign_in_of(request), proved.proof
        opened = lifecycle.open_session(
            proved.identity.user,
            connection=proved.identity.connection,
            identity=proved.identity,
            amr=proof.amr,
            facts=facts(request),
            at=proof.at,
            upstream_sid=proof.upstream_sid,
            upstream=proof.upstream,
            tenant=proved.snapshot.tenant,
            code_for=_code_for(request, proved),
            attempt=under_way.attempt,
            password=proved.stored_password,
            cookie=cookie,
            known_device=attempts.knows_device(request, proved.identity),
            remembered_until=under_way.remembered_until,
            passkey=proof.passkey,
        )
        under_way.attempt = None  # was given back
        allowed = rules.within(proved.snapshot.tenant, "max_sessions_per_user")
        if proved.open_sessions >= allowed:  # before this one
            live = SSOSession.objects.live(timezone.now()).filter(user=proved.identity.user)
            for session in live.select_related("user", "connection").order_by("-auth_time", "-pk")[allowed:]:
                self.end_replaced_session(request, session)
        return opened

    def reauthenticate(self, user: User, password: str) -> bool:
        """Not through authenticate(): a user name is unambiguous only together with its connection."""
        try:
            return sign_in.proves_again(context.request, user, password, timezone.now())
        except attempts.TooManyAttempts:
            raise self.validation_error("too_many_login_attempts") from None
        except UpstreamRefused as error:
            raise ValidationError(languages.in_words(error.sentence)) from None
        except UpstreamFault as error:
            raise ValidationError(error.told) from None

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, str]]:
        """allauth asks whether we keep a password; one that a directory keeps will do as well."""
        methods: list[dict[str, str]] = super().get_reauthentication_methods(user)
        known = {method["id"] for method in methods}
        if user.is_authenticated and "reauthenticate" not in known and sign_in.has_password(context.request, user):
            entry = {
                "id": "reauthenticate",
                "description": gettext("Use your password"),
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

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: Any = None
    ) -> EmailMessage:
        """In an administrator's words where there are any. Called in the language of the reader."""
        tenant = configuration.current().tenant
        said = mails.written(tenant, template_prefix, get_language() or "en", context)
        if said is not None:
            return EmailMessage(said[0], said[1], self.get_from_email(), [email], headers=headers)
        mail: EmailMessage = super().render_mail(template_prefix, email, context, headers=headers)
        return mail

    def format_email_subject(self, subject: str) -> str:
        """Our templates name the tenant; allauth would put the host of a request before it."""
        return subject

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """A greeting would cost a row in Django's session for every sign-in; a verified address has a page of its own."""
        if message_template not in ("account/messages/logged_in.txt", "account/messages/email_confirmed.txt"):
            super().add_message(request, level, message_template, *args, **kwargs)


def _opened_before(request: HttpRequest, proved: Proved, cookie: str) -> lifecycle.Opened | None:
    """The session that the other copy of this form opened, if it still lives; an application that waits here joins it."""
    live = SSOSession.objects.live(timezone.now()).filter(cookie_hash=digest(cookie), identity=proved.identity)
    session = live.select_related("user", "connection").first()
    if session is None:
        return None
    code_for = _code_for(request, proved)
    code = code_for(session) if code_for else None
    if code is not None and not lifecycle.join_for(code, session, facts=facts(request), at=timezone.now()):
        return None  # it ended at this moment
    return lifecycle.Opened(session, cookie)


def _code_for(request: HttpRequest, proved: Proved) -> Callable[[SSOSession], AuthorizationCode | None] | None:
    """What makes the code of the authorization request that this sign-in answers, if one waits."""
    under_way = sign_in_of(request)
    waiting = None if under_way.offers_passkey else under_way.waiting  # it is asked for after the offer
    return functools.partial(waiting.code_for, snapshot=proved.snapshot, at=proved.proof.at) if waiting else None


def _proved(request: HttpRequest, user: User) -> Proved | None:
    """Who was proved, unless person, password or connection changed meanwhile.

    A second factor may be waited for, or the hashing: an old password that is proved while its owner changes it opens nothing.
    """
    proof = sign_in.proof_of(request, user)
    row: Any = _IDENTITY.get(pk=proof.identity_pk, user=user.pk) if proof else None  # with annotations
    if proof is None or row is None or not user.is_active or not usable_for(row.connection, Purpose.SIGN_IN):
        return None
    if began_before(proof.at, row.revoked_before):
        return None
    stored = User(password=row.stored_password)
    if proof.password and not constant_time_compare(proof.password, stored.get_session_auth_hash()):
        return None
    row.user = user
    return Proved(
        identity=row,
        proof=proof,
        snapshot=configuration.at(row.config_version),
        stored_password=row.stored_password if proof.password else None,
        has_second_factor=row.has_second_factor,
        open_sessions=row.open_sessions,
        declined_passkey=row.declined_passkey_at is not None,
    )
