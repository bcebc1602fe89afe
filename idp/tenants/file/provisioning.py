"""`provisioning` of a connection in the tenant file, which is ours: whether and how it is written by SCIM. Tokens are no part of
it: they are made where they are shown once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.http.requests import RequestFacts
from idp.models import Application, Connection, Provisioning, SignInBy, Strategy
from idp.scim import standing, tokens
from idp.scim.context import Writer
from idp.tenants import changes
from idp.tenants.changes import Difference
from idp.tenants.reader import Reader, given

COLUMNS = ("sign_in_by", "required_group", "only_provisioned")


@dataclass(slots=True)
class ProvisioningEntry:
    path: str
    enabled: bool | None
    columns: dict[str, Any]
    applications: list[str] | None  # names or client ids


def read(connection: Reader, strategy: str | None) -> ProvisioningEntry | None:
    reader = connection.inner("provisioning")
    if reader is None:
        return None
    if strategy == Strategy.DATABASE:
        connection.problem("provisioning", "people of a database are ours: nobody provisions them by SCIM")
    entry = ProvisioningEntry(
        path=reader.path,
        enabled=reader.boolean("enabled"),
        columns=given(
            sign_in_by=reader.choice("sign_in_by", SignInBy.values),
            required_group=reader.text("required_group", longest=512),
            only_provisioned=reader.boolean("only_provisioned"),
        ),
        applications=reader.texts("applications"),
    )
    reader.done()
    return entry


def apply(
    entry: ProvisioningEntry, connection: Connection, chosen: list[Application], actor: str, at: datetime
) -> list[Difference]:
    """What it changed. A connection that was never provisioned stays so where the file says nothing but `enabled: false`."""
    row = Provisioning.objects.filter(connection=connection).first()
    if row is None and not entry.enabled and not entry.columns:
        return []
    was_on = row is not None and row.enabled
    if row is None or (entry.enabled and not was_on):
        row = tokens.switch_on(connection, actor=actor, at=at)
    found = _settle(entry, row, chosen, actor, at)
    if entry.enabled is False and tokens.switch_off(row, actor=actor, at=at):
        row.enabled = False
    return found if row.enabled == was_on else [_difference("enabled", was_on, row.enabled), *found]


def _settle(
    entry: ProvisioningEntry, row: Provisioning, chosen: list[Application], actor: str, at: datetime
) -> list[Difference]:
    """How it is provisioned; a new required group changes who may be in."""
    found = [
        _difference(name, getattr(row, name), value)
        for name, value in entry.columns.items()
        if getattr(row, name) != value
    ]
    for name, value in entry.columns.items():
        setattr(row, name, value)
    if found:
        row.save(update_fields=[*entry.columns])
    old, new = ({each.client_id for each in rows} for rows in (row.applications.all(), chosen))
    if entry.applications is not None and old != new:
        row.applications.set(chosen)
        found.append(_difference("applications", sorted(old), sorted(new)))
    if found:
        names = ", ".join(difference.what for difference in found)
        tokens.tell(row.connection, "how it is provisioned", "", names, actor, at, None)
    if any(difference.what == "provisioning.required_group" for difference in found):
        standing.settle_all(row, Writer(row, actor, frozenset(), RequestFacts(), at))
    return found


def _difference(name: str, before: Any, after: Any) -> Difference:
    return Difference(f"provisioning.{name}", changes.shown(before), changes.shown(after))
