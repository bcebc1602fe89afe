"""Our SAML keys in the console: which there are, and the steps of their rotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from idp.admin.support import AdminAct, FactsAdmin, NotDone, actor_of
from idp.http.requests import facts
from idp.models import Application, SamlKey, SamlKeyStatus
from idp.saml import own_key, rotation
from idp.saml.rotation import CannotRotate, RotationStep

MOST_NAMES = 20


class EarlyForm(forms.Form):
    """Asked for while not everybody can have read our metadata."""

    early = forms.BooleanField(label="Do it all the same", help_text="Who was not told by hand breaks until they are.")


def _form(key: SamlKey, data: Any) -> forms.Form:
    return EarlyForm(data) if rotation.too_early(key, timezone.now()) else forms.Form(data)


def explain_publish(key: SamlKey) -> list[str]:
    return [
        "A second certificate stands in our metadata from now on. Nothing is signed with it yet, so nothing breaks.",
        "Those who follow our metadata learn it by themselves; whoever was given the certificate by hand is given this one, too.",
    ]


def explain_activate(key: SamlKey) -> list[str]:
    return [
        *_early(key),
        "Everything that we say by SAML and WS-Federation is signed with this key from now on.",
        *_stragglers(),
        "Whoever knows only the certificate before does not believe us any more. An application that needs more time keeps the old one "
        "by its setting signingKey: retiring.",
    ]


def explain_withdraw(key: SamlKey) -> list[str]:
    return [
        *_early(key),
        "The key leaves our metadata and is deleted: what is encrypted for it can never be read again.",
        *_stragglers(),
    ]


def explain_discard(key: SamlKey) -> list[str]:
    return ["The key, which has signed nothing, leaves our metadata and is deleted."]


def _early(key: SamlKey) -> list[str]:
    return [why] if (why := rotation.too_early(key, timezone.now())) else []


def _stragglers() -> list[str]:
    """Applications with a choice of their own, which the step makes void or not."""
    rows = Application.objects.filter(enabled=True).exclude(saml={}, wsfed={}).order_by("name")
    chosen = [(row, (row.usable.saml or row.usable.wsfed.told).signing_key) for row in rows]
    return [
        f"Signed with the {which} key by their own setting: {', '.join(names[:MOST_NAMES])}."
        for which in ("next", "retiring")
        if (names := [row.name for row, choice in chosen if choice == which])
    ]


def _does(step: RotationStep) -> Callable[[HttpRequest, SamlKey, datetime, forms.Form | None], HttpResponse]:
    def do(request: HttpRequest, key: SamlKey, at: datetime, form: forms.Form | None) -> HttpResponse:
        early = bool(form and form.cleaned_data.get("early"))
        try:
            done = rotation.rotate(step, actor=actor_of(request), at=at, early=early, facts=facts(request))
        except CannotRotate as error:
            raise NotDone(str(error)) from None
        messages.success(request, done)
        return HttpResponseRedirect(reverse("admin:idp_samlkey_changelist"))  # the row may be gone

    return do


def _act(
    step: RotationStep, label: str, explain: Callable[[SamlKey], Sequence[str]], of: SamlKeyStatus, **more: Any
) -> AdminAct:
    return AdminAct(step.value, label, explain, _does(step), offered=lambda key: key.status == of, **more)


@admin.register(SamlKey)
class SamlKeyAdmin(FactsAdmin):
    reads_standby = False
    list_display = ("__str__", "status", "fingerprint", "activated_at", "retired_at")
    fields = ("status", "fingerprint", "certificate", "created_at", "activated_at", "retired_at")
    readonly_fields = ("fingerprint",)
    empty = "The key with which we sign by SAML is made when somebody first asks for our metadata."

    @admin.display(description="fingerprint (SHA-256)")
    def fingerprint(self, obj: SamlKey) -> str:
        return own_key.fingerprint(obj.certificate)

    def get_acts(self) -> Sequence[AdminAct]:
        active, coming, old = SamlKeyStatus.ACTIVE, SamlKeyStatus.NEXT, SamlKeyStatus.RETIRING
        return (
            _act(RotationStep.PUBLISH, "Publish a successor", explain_publish, active),
            _act(RotationStep.ACTIVATE, "Sign with it", explain_activate, coming, form=_form),
            _act(RotationStep.DISCARD, "Discard it", explain_discard, coming),
            _act(RotationStep.WITHDRAW, "Withdraw it", explain_withdraw, old, form=_form),
        )
