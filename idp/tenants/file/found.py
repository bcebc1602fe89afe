"""The rows that a tenant file names: by id, else by a name that only one has."""

from __future__ import annotations

from django.db import models

from idp.connections.database import by_login
from idp.models import Application, Connection, Identity
from idp.tenants.clients import ClientEntry
from idp.tenants.schema import PersonEntry, TenantFile


def find_client(client: ClientEntry) -> Application | None:
    """The row of an entry, locked: by client_id, else by name. Raises MultipleObjectsReturned for a name that several have."""
    rows: models.QuerySet[Application] = Application.objects.select_for_update(no_key=True)
    if client.client_id:
        return rows.filter(client_id=client.client_id).first()
    try:
        return rows.get(name=client.name)
    except Application.DoesNotExist:
        return None


def named(name: str) -> Application:
    """After `unknown_client` had nothing against it."""
    rows: models.QuerySet[Application] = Application.objects.all()
    return rows.filter(client_id=name).first() or rows.get(name=name)


def unknown_client(name: str, file: TenantFile) -> str | None:
    """Why nobody can tell which application is meant, once the file is applied."""
    by_id = {client.client_id for client in file.clients if client.client_id}
    if name in by_id or Application.objects.filter(client_id=name).exists():
        return None
    here = [client for client in file.clients if client.name == name]
    others = Application.objects.filter(name=name).exclude(client_id__in=by_id).count()
    is_theirs = others > 0 and any(client.client_id is None for client in here)  # which is the row that it changes
    found = len(here) + others - is_theirs
    if found > 1:
        return f"several clients are called {name}: give the client_id"
    return None if found else f"there is no client {name}"


def identity_of(connection: Connection | None, person: PersonEntry) -> Identity | None:
    return by_login(connection, person.typed) if connection else None
