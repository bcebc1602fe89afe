"""Invitations: who was invited, what became of it, and a form for the next one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from idp.admin.fields import TicksField
from idp.admin.support import AdminAct, FactsAdmin, actor_of
from idp.http.requests import facts
from idp.http.visit import is_fresh, reauthentication_url
from idp.models import Connection, Group, Invitation, InvitationState
from idp.people import invitations
from idp.tenants import rules

if TYPE_CHECKING:
    InviteForm = forms.ModelForm[Invitation]
else:
    InviteForm = forms.ModelForm

TOO_MANY = "This address was sent several invitations lately. Try again in an hour."


class InvitationForm(InviteForm):
    groups = TicksField(label="Our own groups", help_text="The person is in them once the invitation is accepted.")

    class Meta:
        model = Invitation
        fields = ("address", "name", "connection")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usable = Connection.objects.filter(enabled=True, strategy__in=invitations.INVITABLE)
        self.fields["connection"].queryset = usable  # type: ignore[attr-defined]
        if "groups" in self.fields:
            rows = Group.objects.filter(connection=None)
            self.fields["groups"].choices = [(str(row.pk), row.name) for row in rows]  # type: ignore[attr-defined]

    def validate_constraints(self) -> None:
        """One that waits for this address is replaced, as the act says."""

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        if reason := rules.check_email(address):  # it may be longer as accounts keep it
            raise forms.ValidationError(f"It {reason}.")
        return address

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("It has characters that nobody can type.")
        return name


class InvitationWithoutGroups(InvitationForm):
    """For those who may not put people into groups: what opens applications to somebody is a superuser's to give."""

    groups = None  # type: ignore[assignment]  # Django's way to leave out what a parent declares


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return InvitationState.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        at = timezone.now()
        ended = queryset.filter(accepted_at=None, withdrawn_at=None)
        found: dict[str | None, Any] = {
            InvitationState.ACCEPTED: queryset.exclude(accepted_at=None),
            InvitationState.WITHDRAWN: queryset.exclude(withdrawn_at=None),
            InvitationState.WAITING: ended.filter(expires_at__gt=at),
            InvitationState.EXPIRED: ended.filter(expires_at__lte=at),
        }
        return found.get(self.value(), queryset)


def _is_open(invitation: Invitation) -> bool:
    return invitation.accepted_at is None and invitation.withdrawn_at is None


def do_resend(request: HttpRequest, invitation: Invitation, at: datetime, form: forms.Form | None) -> str:
    try:
        invitations.resend(invitation, actor=actor_of(request), at=at, facts=facts(request))
    except invitations.TooManyMails:
        return TOO_MANY
    except invitations.NotOpen:
        return "Nothing was sent: it was accepted or withdrawn meanwhile."
    return f"A new mail is on its way to {invitation.address}."


def do_withdraw(request: HttpRequest, invitation: Invitation, at: datetime, form: forms.Form | None) -> str:
    if invitations.withdraw(invitation, actor=actor_of(request), at=at, facts=facts(request)):
        return f"The invitation of {invitation.address} is withdrawn."
    return "Nothing was done: it was accepted or withdrawn meanwhile."


RESEND = AdminAct(
    "resend",
    "Send it again",
    lambda row: [
        f"{row.address} gets a new link, which works for seven days. The one of the mail before stops working."
    ],
    do_resend,
    offered=_is_open,
    danger=False,
    operates=True,
)
WITHDRAW = AdminAct(
    "withdraw",
    "Withdraw",
    lambda row: [f"The link that {row.address} has stops working. Nobody is told."],
    do_withdraw,
    offered=_is_open,
    operates=True,
)


@admin.register(Invitation)
class InvitationAdmin(FactsAdmin):
    form = InvitationForm
    tells_itself = frozenset({"add", "change"})
    empty = "None yet. Invite somebody by mail: they choose a password themselves, or sign in through their connection."
    list_display = ("address", "connection", "shown_state", "mail", "invited_by", "invited_at", "expires_at")
    list_filter = (StateFilter, "connection")
    list_select_related = ("connection",)
    search_fields = ("address", "name")
    fields = (
        *("address", "name", "connection", "shown_state", "mail", "shown_groups", "accepted_by"),
        *("invited_by", "invited_at", "expires_at", "accepted_at", "withdrawn_at"),
    )
    readonly_fields = fields

    def get_acts(self) -> Sequence[AdminAct]:
        return RESEND, WITHDRAW

    @admin.display(description="state")
    def shown_state(self, obj: Invitation) -> str:
        return str(obj.state(timezone.now()).label)

    @admin.display(description="mail")
    def mail(self, obj: Invitation) -> str:
        """Of the newest one."""
        link = max(obj.links.all(), key=lambda link: link.pk, default=None)
        if link is None:
            return "gone"
        if link.sent_at is not None:
            return "sent"
        return "not sent yet" if link.attempts == 0 else "the mail server does not take it"

    @admin.display(description="groups")
    def shown_groups(self, obj: Invitation) -> str:
        return ", ".join(obj.groups.values_list("name", flat=True)) or "none"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("links")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("idp.add_invitation")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return InvitationForm if request.user.is_superuser else InvitationWithoutGroups

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is not None:
            return self.fields
        return ("address", "name", "connection", *(("groups",) if request.user.is_superuser else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is not None else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Whoever has the link comes in: that is not for somebody who found a browser open."""
        if self.has_add_permission(request) and not is_fresh(request, timezone.now()):
            return HttpResponseRedirect(reauthentication_url(request.path))
        try:
            return super().add_view(request, form_url, extra_context)
        except invitations.TooManyMails:
            messages.warning(request, TOO_MANY)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        said = form.cleaned_data
        chosen = said.get("groups") or []
        made = invitations.invite(
            said["address"],
            said["connection"],
            name=said["name"],
            groups=Group.objects.filter(connection=None, pk__in=chosen),
            actor=actor_of(request),
            at=timezone.now(),
            facts=facts(request),
        )
        obj.__dict__.update(made.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The act wrote them."""
