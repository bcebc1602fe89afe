"""People in the admin: whether somebody is out, and the acts that make it so."""

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
from idp.admin.support import AdminAct, actor_of
from idp.http.requests import facts
from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.admin import reauthentication
from logout_app.admin.person import NEEDED, person_page
from logout_app.admin.words import counted
from logout_app.ending import not_told
from logout_app.ending.end import Selection, end_sessions
from sessions_app.account import mail
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
    done = f"{user} is signed out of {counted(len(ended.session_pks), 'session')}, and every refresh token is dead."
    return f"{done} What the applications answer is on this page: reload it."


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


def explain_reset_mail(user: User) -> list[str]:
    return [
        f"A mail goes to {user.email} within a few seconds, with a link that sets a new password and works for an hour.",
        "Whoever reads that mailbox can then sign in. The old password works until a new one is set; then every session ends.",
        "Other accounts with the same address get one too, each with its connection's name.",
    ]


def do_reset_mail(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    mail.ask_for_reset(user.email, at)
    return f"A mail with a link to a new password is on its way to {user.email}."


RESET_MAIL = AdminAct(
    "reset-mail",
    "Send reset mail",
    explain_reset_mail,
    do_reset_mail,
    offered=lambda user: user.is_active and bool(user.email) and mail.may_reset(user),
    danger=False,
    operates=True,
)
RESET_FACTORS = AdminAct(
    "reset-factors",
    "Reset second factors",
    explain_reset,
    do_reset,
    offered=lambda user: bool(factors.of_person(user)),
    operates=True,
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


SIGN_OUT = AdminAct("sign-out", "End everything", explain_sign_out, do_sign_out, operates=True)


@admin.register(User)
class UserAdmin(users.UserAdminBase):
    change_form_template = "admin/idp/user/change_form.html"
    inlines: ClassVar[Any] = ()

    def get_acts(self) -> Sequence[AdminAct]:
        return (
            SIGN_OUT,
            reauthentication.PERSON,
            RESET_FACTORS,
            RESET_MAIL,
            *map(naming_the_untold, super().get_acts()),
        )

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """For whom the page answers nothing, rows still say how this person signs in."""
        return (users.IdentityInline,) if obj and not request.user.has_perms(NEEDED) else ()

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if obj := kwargs.get("obj"):
            context["person"] = person_page(obj, request.user, timezone.now())
        return super().render_change_form(request, context, *args, **kwargs)

    def consequences(self, user: User) -> list[str]:
        applications = not_told.in_use_by(user, timezone.now())
        untold_ones = not_told.sentences(applications, Initiator.ACCOUNT_DELETED, whole_user=True)
        return [*super().consequences(user), *(f"{user}: {sentence}" for sentence in untold_ones)]
