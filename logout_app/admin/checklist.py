"""What a new installation still lacks until somebody is really signed out of something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from idp.models import Application, Connection, TenantSettings
from logout_app.delivery.channels.registry import without_url
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import SessionClient
from sessions_app.signin import factors


@dataclass(frozen=True, slots=True)
class FirstStep:
    done: bool
    text: str
    url: str


def checklist(user: Any) -> list[FirstStep]:
    """Empty once all is done. A second factor of one's own is recommended there, and keeps no list alive."""
    steps = [
        FirstStep(
            _is_named(), "Give it your name: people see it on every page.", _url("idp_tenantsettings", "changelist")
        ),
        FirstStep(
            Connection.objects.filter(enabled=True).exists(),
            "Add a connection: who may sign in.",
            _url("idp_connection"),
        ),
        FirstStep(
            Application.objects.filter(enabled=True).exists(), "Register an application.", _url("idp_application")
        ),
        FirstStep(
            _can_tell(),
            "Give it a logout URL, or nobody can tell it of sign-outs.",
            _url("idp_application", "changelist"),
        ),
        FirstStep(SessionClient.objects.exists(), "Sign in to it.", _url("sessions_app_ssosession", "changelist")),
        FirstStep(_was_told(), "Sign out, and see the application confirm it.", reverse("admin:evidence")),
    ]
    if all(step.done for step in steps):
        return []
    own = bool(factors.of_person(user))
    return [*steps, FirstStep(own, "Set up a second factor for your own account.", reverse("mfa_index"))]


def _is_named() -> bool:
    default = TenantSettings._meta.get_field("friendly_name").default
    return bool(TenantSettings.objects.exclude(friendly_name__in=("", default)).exists())


def _can_tell() -> bool:
    return bool(Application.objects.filter(enabled=True).exclude(without_url()).exists())


def _was_told() -> bool:
    return LogoutDelivery.objects.of_ends().filter(state=DeliveryState.DELIVERED).exists()


def _url(table: str, page: str = "add") -> str:
    return reverse(f"admin:{table}_{page}")
