"""Accounts at connections in the admin, and the two acts on them: to link one to another person, and to give it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from idp.admin.support import AdminAct, FactsAdmin, actor_of, may_touch
from idp.models import Identity, Strategy, User
from idp.people import accounts

POWERLESS = "Only a superuser may change how people with powers in this admin sign in."


class LinkForm(forms.Form):
    """The other person, by what names one person only."""

    person = forms.CharField(
        label="The person whom it signs in from now on",
        help_text="Their user id, or an e-mail address that nobody else here has.",
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, identity: Identity, data: Any = None) -> None:
        super().__init__(data)
        self.identity = identity

    def clean_person(self) -> User:
        typed: str = self.cleaned_data["person"]
        found = list(User.objects.filter(user_id=typed) or accounts.with_address(typed)[:2])
        if len(found) != 1:
            raise forms.ValidationError(
                "Several people have this address: give the user id." if found else "There is nobody like that."
            )
        if found[0].pk == self.identity.user_id:
            raise forms.ValidationError("It signs in this person already.")
        return found[0]


def is_linked(identity: Identity) -> bool:
    return identity.own_user_id != identity.user.user_id


def explain_link(identity: Identity) -> list[str]:
    return [
        f"The account {identity.sub} of {identity.connection} signs in {_full(identity.user)} now. From now on it signs in the "
        "person below: with everything that they may do, in every application.",
        *_what_ends(identity),
        *_what_stays(identity),
        "Addresses are never compared: be sure that both belong to the same human being.",
    ]


def explain_unlink(identity: Identity) -> list[str]:
    own = User.objects.filter(user_id=identity.own_user_id).first()
    back = f"signs in {_full(own)} again" if own else f"gets a person of its own, {identity.own_user_id}"
    return [
        f"The account {identity.sub} of {identity.connection} signs in {_full(identity.user)} now. From now on it {back}.",
        *_what_ends(identity),
        *_what_stays(identity),
    ]


def _what_ends(identity: Identity) -> list[str]:
    return [f"Every session of {identity.user} that began through it ends, and the applications are told."]


def _what_stays(identity: Identity) -> list[str]:
    others = [str(other.connection) for other in identity.user.identities.exclude(pk=identity.pk)]
    if others:
        return [f"{identity.user} still signs in by {', '.join(others)}."]
    return [f"{identity.user} has no other way to sign in: the person stays, with their history, and can have it back."]


def _full(user: User) -> str:
    return f"{user} ({user.user_id})" if user.email else user.user_id


def do_link(request: HttpRequest, identity: Identity, at: datetime, form: forms.Form | None) -> str:
    assert form is not None  # noqa: S101  the act declares it
    user: User = form.cleaned_data["person"]
    if not may_touch(request, user):
        raise PermissionDenied(POWERLESS)
    accounts.link_identity(identity, user, actor=actor_of(request), at=at)
    return f"The account signs in {_full(user)} from now on."


def do_unlink(request: HttpRequest, identity: Identity, at: datetime, form: forms.Form | None) -> str:
    own = User.objects.filter(user_id=identity.own_user_id).first()
    if own and not may_touch(request, own):
        raise PermissionDenied(POWERLESS)
    accounts.unlink_identity(identity, actor=actor_of(request), at=at)
    return f"The account signs in {_full(identity.user)} from now on."


LINK = AdminAct(
    "link",
    "Link to another person",
    explain_link,
    do_link,
    offered=lambda identity: identity.connection.strategy != Strategy.DATABASE and identity.user.is_active,
    form=LinkForm,
)
UNLINK = AdminAct(
    "unlink",
    "Unlink from this person",
    explain_unlink,
    do_unlink,
    offered=lambda identity: is_linked(identity) and identity.user.is_active,
)


@admin.register(Identity)
class IdentityAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("sub", "connection", "user", "email", "last_login_at", "created_at")
    list_filter = ("connection",)
    list_select_related = ("connection", "user")
    search_fields = ("=sub", "=login", "email", "user__user_id")
    fields = ("user", "linked", "connection", "sub", "login", "email", "profile", "created_at", "last_login_at")

    @admin.display(description="linked by an administrator", boolean=True)
    def linked(self, obj: Identity) -> bool:
        return is_linked(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("linked",)

    def get_acts(self) -> Sequence[AdminAct]:
        return (LINK, UNLINK)

    def has_act_permission(self, request: HttpRequest, obj: Any) -> bool:
        """As changing the person: an account decides who somebody is."""
        return request.user.has_perm("idp.change_user") and may_touch(request, obj.user)
