"""What people allowed applications that are not first-party (Auth0's grants)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from logout_app.api.frame import paging
from logout_app.api.frame.errors import invalid_query, not_found
from logout_app.api.frame.operations import CHECKPOINTS, PAGES, Call, Operation
from logout_app.api.people import found
from logout_app.ending import application_removed
from sessions_app.models import Consent


def shape(row: Consent) -> dict[str, Any]:
    return {
        "id": f"{row.pk:024x}",
        "clientID": row.application.client_id,
        "user_id": row.user.user_id,
        "audience": "",
        "scope": list(row.scopes),
    }


def list_grants(call: Call) -> Any:
    rows = Consent.objects.select_related("user", "application").order_by("pk")
    if user_id := call.query.text("user_id"):
        rows = rows.filter(user__user_id=user_id)
    if client_id := call.query.text("client_id"):
        rows = rows.filter(application__client_id=client_id)
    return paging.pages(call, rows, "grants", shape)


def delete(call: Call, grant_id: str) -> None:
    """The application loses everything that it may for this person: consent, tokens, its part of their sessions."""
    key = int(grant_id, 16) if len(grant_id) == 24 and set(grant_id) <= set("0123456789abcdef") else -1
    row = Consent.objects.select_related("user", "application").filter(pk=key).first() if 0 < key < 2**63 else None
    if row is None:
        raise not_found("grant")
    application_removed.remove(row.user, row.application, call.caller.facts, call.at, actor=call.actor)


def delete_of_user(call: Call) -> None:
    if not (user_id := call.query.text("user_id")):
        raise invalid_query("Missing required 'user_id' parameter.")
    rows: QuerySet[Consent] = Consent.objects.filter(user=found.pk_of(user_id)).select_related("user", "application")
    for row in rows.order_by("pk"):
        application_removed.remove(row.user, row.application, call.caller.facts, call.at, actor=call.actor)


OPERATIONS = (
    Operation("GET", "grants", ["read:grants"], list_grants, "What people allowed applications.",
              query=(*PAGES, *CHECKPOINTS, "user_id", "client_id"), listed="grants"),
    Operation("DELETE", "grants", ["delete:grants"], delete_of_user, "Take back everything that `user_id` allowed.", 204,
              query=("user_id",)),
    Operation("DELETE", "grants/<str:grant_id>", ["delete:grants"], delete,
              "Take one back: its tokens die and the application is told.", 204),
)  # fmt: skip
