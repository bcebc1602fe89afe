"""People in the admin, with *Sign out everywhere* and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from idp.admin import users
from idp.admin.support import AdminAct, FactsInline, actor_of
from idp.http.requests import facts
from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.admin import reauthentication
from logout_app.ending import not_told
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RefreshTokenFamily, SSOSession
from sessions_app.signin import factors


def explain_sign_out(user: User) -> list[str]:
    now = timezone.now()
    live = SSOSession.objects.live(now).filter(user=user).count()
    families = RefreshTokenFamily.objects.filter(user=user, revoked_at=None).count()
    return [
        f"{live} live session{'s' * (live != 1)} of {user} end, on every device, and the applications are told.",
        f"{families} refresh token famil{'ies' if families != 1 else 'y'} die, also those with offline access.",
        "The account stays open: the person may sign in again.",
        *not_told.sentences(not_told.in_use_by(user, now), Initiator.SESSION_REVOKED, whole_user=True),
    ]


def do_sign_out(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    ended = end_sessions(
        Selection.user(user.pk),
        initiator=Initiator.SESSION_REVOKED,
        actor=actor_of(request),
        at=at,
        offline_tokens=True,
    )
    return f"{user} is signed out of {len(ended.session_pks)} session{'s' * (len(ended.session_pks) != 1)}."


def explain_reset(user: User) -> list[str]:
    kinds = [str(factor.get_type_display()) for factor in factors.of_person(user)]
    return [
        f"{user} loses {len(kinds)} second factor{'s' * (len(kinds) != 1)} ({', '.join(kinds)}) and the recovery codes.",
        "From now on the password alone signs them in, until they set up a new one under Two-factor authentication.",
        "Every session of theirs ends, and the applications are told.",
        "Be sure that it is really them who asks: whoever knows their password gets in.",
    ]


def do_reset(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    factors.reset(user, actor=actor_of(request), facts=facts(request), at=at)
    return f"{user} has no second factor any more, and is signed out."


RESET_FACTORS = AdminAct(
    "reset-factors",
    "Remove second factors",
    explain_reset,
    do_reset,
    offered=lambda user: bool(factors.of_person(user)),
)
# Acts of the page below, which promise that applications are told: under which name these hear of it.
TOLD_AS = {"block": Initiator.ACCOUNT_DEACTIVATED, "password": Initiator.PASSWORD_CHANGED}


def naming_the_untold(act: AdminAct) -> AdminAct:
    """The act, whose page also names the applications that are not told."""
    initiator = TOLD_AS.get(act.name)
    if initiator is None:
        return act

    def explain(user: User) -> list[str]:
        applications = not_told.in_use_by(user, timezone.now())
        return [*act.explain(user), *not_told.sentences(applications, initiator, whole_user=True)]

    return replace(act, explain=explain)


SIGN_OUT = AdminAct("sign-out", "Sign out everywhere", explain_sign_out, do_sign_out)


class SessionInline(FactsInline):
    """The sessions that have not ended."""

    model = SSOSession
    fields = ("connection", "created_at", "last_seen_at", "last_application", "last_ip", "last_user_agent")
    readonly_fields = fields
    show_change_link = True
    ordering = ("-pk",)
    verbose_name_plural = "Sessions that have not ended"

    def get_queryset(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).filter(ended_at=None).select_related("connection", "last_application")


@admin.register(User)
class UserAdmin(users.UserAdminBase):
    inlines: ClassVar[Any] = (users.IdentityInline, SessionInline)

    def get_acts(self) -> Sequence[AdminAct]:
        return (SIGN_OUT, reauthentication.PERSON, RESET_FACTORS, *map(naming_the_untold, super().get_acts()))

    def consequences(self, user: User) -> list[str]:
        applications = not_told.in_use_by(user, timezone.now())
        untold_ones = not_told.sentences(applications, Initiator.ACCOUNT_DELETED, whole_user=True)
        return [*super().consequences(user), *(f"{user}: {sentence}" for sentence in untold_ones)]
