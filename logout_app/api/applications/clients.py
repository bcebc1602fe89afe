"""Applications: the tenant file's reader reads them, the same rulebook judges them, the same trail is told."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from idp.applications import trail
from idp.models import Application
from idp.protocol.grant_types import CLIENT_CREDENTIALS
from idp.protocol.opaque import new_secret
from idp.tenants import clients as entries
from idp.tenants.clients import ClientEntry
from logout_app.api.applications import auth_methods, client_shape
from logout_app.api.frame import body, delegation, paging
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation

PLACE = "clients"
# Who is the application: what proves it, and where codes for its people are sent.
CREDENTIALS = frozenset(
    {
        *("client_secret", "token_endpoint_auth_method", "strict_client_assertions", "jwks", "jwks_uri"),
        *("redirect_uris", "web_origins", "allowed_origins", "app_type", "grant_types"),
    }
)


def list_clients(call: Call) -> Any:
    rows = Application.objects.order_by("pk")
    query = call.query
    if query.boolean("is_global"):
        rows = rows.none()  # Auth0's own; there is none here
    if (first := query.boolean("is_first_party")) is not None:
        rows = rows.filter(is_first_party=first)
    if kinds := query.texts("app_type"):
        rows = rows.filter(app_type__in=kinds)
    return paging.pages(call, rows, "clients", client_shape.client, length=True)


def find(client_id: str, *, locked: bool = False) -> Application:
    """Raises ApiError 404."""
    rows: QuerySet[Application] = Application.objects.all()
    row = (rows.select_for_update(no_key=True) if locked else rows).filter(client_id=client_id).first()
    if row is None:
        raise not_found("client")
    return row


def get(call: Call, client_id: str) -> Any:
    return client_shape.client(find(client_id))


def create(call: Call) -> Any:
    """One that says neither where it comes back to nor how it gets tokens signs nobody in yet: it acts for itself."""
    silent = {} if call.body.keys() & {"callbacks", "grant_types"} else {"grant_types": [CLIENT_CREDENTIALS]}
    entry = _entry(silent | auth_methods.understood(call.body, None))
    body.refuse(entries.problems(entry, None), PLACE)
    columns = entries.WHERE_SILENT | entries.columns_of(entry)
    row = Application(**columns)
    secret = entry.secret or new_secret()
    row.client_secret = secret  # public clients get one too, known to nobody: a blank one everybody would know
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise ApiError(409, "A client with this client_id exists already", "conflict") from None
    trail.changed(None, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return client_shape.client(row) | ({"client_secret": secret} if row.has_secret else {})


def update(call: Call, client_id: str) -> Any:
    row = find(client_id, locked=True)
    body_in_our_keys = auth_methods.understood(call.body, row)
    entry = _entry(_unchanged(row, call.body) | body_in_our_keys)
    body.refuse(entries.problems(entry, row), PLACE)
    columns = _cleared(call.body) | entries.columns_of(entry)
    if entry.secret:
        columns["client_secret"] = entry.secret
    if CREDENTIALS & {name for name in columns if name == "client_secret" or getattr(row, name) != columns[name]}:
        delegation.refuse_credentials_beyond(call, row)
    before = copy.copy(row)
    changed = [name for name, value in columns.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, columns[name])
    if changed:
        row.save()
        trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return client_shape.client(row)


def _entry(said: Mapping[str, Any]) -> ClientEntry:
    problems: list[str] = []
    reader = body.BodyReader(
        {name: value for name, value in said.items() if value is not None}, PLACE, problems, body.NOWHERE
    )
    entry = entries.client(reader)
    body.refuse(problems, PLACE)
    return entry


def _unchanged(row: Application, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the reader would derive from a part of the whole stays as it is."""
    if "client_id" in said and said["client_id"] != row.client_id:
        raise invalid_body("client_id cannot change")
    found = {"name": row.name, "token_endpoint_auth_method": row.token_endpoint_auth_method}
    return found | {"grant_types": list(row.grant_types)} if "app_type" in said else found


def _cleared(said: Mapping[str, Any]) -> dict[str, Any]:
    """Columns that null puts back to what a new application has."""
    nulls, fresh = {name for name, value in said.items() if value is None}, Application()
    return {
        column: getattr(fresh, column)
        for column, place in entries.KEYS.items()
        if place.partition(".")[0].removesuffix("[]") in nulls and column not in ("name", "client_id")
    }


def rotate_secret(call: Call, client_id: str) -> Any:
    """The old one stops working at once; the new one is in this answer and nowhere else."""
    row = find(client_id, locked=True)
    if not row.has_secret:
        raise ApiError(400, "The client has no secret", "operation_not_supported")
    delegation.refuse_credentials_beyond(call, row)
    before, secret = copy.copy(row), new_secret()
    row.client_secret = secret
    row.save(update_fields=["client_secret", "updated"])
    trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return client_shape.client(row) | {"client_secret": secret}


def delete(call: Call, client_id: str) -> None:
    row = find(client_id, locked=True)
    if row.pk == call.caller.application.pk:
        raise ApiError(400, "A client cannot delete itself", "operation_not_supported")
    trail.deleted(row, actor=call.actor, at=call.at, facts=call.caller.facts)
    row.delete()


OPERATIONS = (
    Operation("GET", "clients", ["read:clients"], list_clients, "Applications.",
              query=(*PAGES, *CHECKPOINTS, *FIELDS, "is_global", "is_first_party", "app_type"), listed="clients"),
    Operation("POST", "clients", ["create:clients"], create,
              "Register an application; its secret is in this answer and never again.", 201),
    Operation("GET", "clients/<str:client_id>", ["read:clients"], get, "One application.", query=FIELDS),
    Operation("PATCH", "clients/<str:client_id>", ["update:clients"], update,
              "Change what the body names; null puts a key back to what a new application has."),
    Operation("DELETE", "clients/<str:client_id>", ["delete:clients"], delete, "Delete an application.", 204),
    Operation("POST", "clients/<str:client_id>/rotate-secret", ["update:client_keys"], rotate_secret,
              "A new secret, shown once; the old one is dead at once."),
)  # fmt: skip
