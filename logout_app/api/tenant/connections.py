"""Connections: read as the tenant file reads them, judged by the same rulebook and by who may change trust.

A program is nobody who proved who they are: what would let it sign in as somebody with powers in the admin is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from django.db import IntegrityError, transaction

from idp.connections import health, trust
from idp.connections.options import COSMETIC
from idp.models import Application, Connection
from idp.people import accounts
from idp.tenants import changes
from idp.tenants import connections as entries
from idp.tenants.schema import ConnectionEntry
from idp.tenants.schema import connection as read_connection
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation
from logout_app.api.frame.times import iso

PLACE = "connections"
MOST_CLIENTS = 50


class Shaper:
    """Two statements for any number of connections: their applications, and all applications where one is for all."""

    def __init__(self, call: Call) -> None:
        self._shows_options = "read:connections_options" in call.caller.scopes or call.caller.user is not None
        self._all: list[str] | None = None

    def __call__(self, row: Connection) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": row.public_id,
            "name": row.name,
            "strategy": row.strategy,
            "display_name": row.display_name or row.name,
            "enabled": row.enabled,
            "is_domain_connection": False,
            "realms": [row.name],
            "authentication": {"active": row.enabled},
            "connected_accounts": {"active": False},
            "enabled_clients": self._clients(row),
            "enabled_for_all": row.enabled_for_all,
        }
        if self._shows_options:
            found["options"] = options_of(row)
        return found

    def _clients(self, row: Connection) -> list[str]:
        if not row.enabled_for_all:
            return sorted(client.client_id for client in row.enabled_clients.all())
        if self._all is None:
            self._all = sorted(Application.objects.values_list("client_id", flat=True))
        return self._all


def options_of(row: Connection) -> dict[str, Any]:
    """As they are read and written; without secrets."""
    return dict(row.options) | ({"icon_url": row.icon_url} if row.icon_url else {})


def list_connections(call: Call) -> Any:
    rows = Connection.objects.prefetch_related("enabled_clients").order_by("pk")
    if strategies := call.query.texts("strategy"):
        rows = rows.filter(strategy__in=strategies)
    if name := call.query.text("name"):
        rows = rows.filter(name=name)
    return paging.pages(call, rows, "connections", Shaper(call))


def find(connection_id: str, *, locked: bool = False) -> Connection:
    rows = Connection.objects.select_for_update(no_key=True) if locked else Connection.objects.all()
    row = rows.filter(public_id=connection_id).first()
    if row is None:
        raise not_found("connection")
    return row


def get(call: Call, connection_id: str) -> Any:
    return Shaper(call)(find(connection_id))


def create(call: Call) -> Any:
    """No application may use it unless `enabled_clients` names it, as at Auth0."""
    for_all = _for_all(call.body)
    said = {"options": {}, **({} if for_all else {"enabled_clients": []}), **call.body}
    entry, row = entry_of(said), Connection(enabled_for_all=bool(for_all))
    row.name, row.strategy = entry.name, entry.strategy
    try:
        with transaction.atomic():
            save(call, row, entry, for_all)
    except IntegrityError:
        raise ApiError(409, "A connection with the same name already exists", "conflict") from None
    return Shaper(call)(row)


def update(call: Call, connection_id: str) -> Any:
    """`options` replaces all of them; a secret that is not given stays, unless it would be sent to a new place."""
    row = find(connection_id, locked=True)
    for fixed in ("name", "strategy"):
        if call.body.get(fixed) not in (None, getattr(row, fixed)):
            raise invalid_body(f"{fixed}: cannot change")
    entry = entry_of({**call.body, "name": row.name, "strategy": row.strategy})
    body.refuse(entries.untyped(row, entry), PLACE)
    save(call, row, entry, _for_all(call.body))
    return Shaper(call)(row)


def delete(call: Call, connection_id: str) -> Any:
    row = find(connection_id, locked=True)
    if people := row.identities.count():
        message = (
            f"{people} people belong to the connection: delete them first, or send enabled false, which ends sessions"
        )
        raise ApiError(409, message, "conflict")
    _refuse_untrusted(call, trust.ConnectionChange(row, {}, enabled=False))
    accounts.disable_connection(row, actor=call.actor, at=call.at)
    trust.record(row, trust.deletion(row), actor=call.actor, at=call.at, facts=call.caller.facts)
    row.delete()
    return {"deleted_at": iso(call.at)}


def _for_all(said: Mapping[str, Any]) -> bool | None:
    """Ours: whether every application may use it. A list of all of them, which tools write back beside, is the same."""
    value = said.get("enabled_for_all")
    if value is not None and not isinstance(value, bool):
        raise invalid_body("enabled_for_all: must be true or false")
    return value


def entry_of(said: Mapping[str, Any]) -> ConnectionEntry:
    problems: list[str] = []
    given = {name: value for name, value in said.items() if value is not None and name != "enabled_for_all"}
    if said.get("enabled_for_all"):
        given.pop("enabled_clients", None)
    entry = read_connection(body.BodyReader(given, PLACE, problems, body.NOWHERE))
    if entry.provisioning is not None:
        problems.append("provisioning: is switched at scim-configuration")
    body.refuse(problems, PLACE)
    return entry


def save(
    call: Call,
    row: Connection,
    entry: ConnectionEntry,
    for_all: bool | None = None,
    *,
    removed: frozenset[str] = frozenset(),
) -> None:
    """What the entry says, nothing else; closing is an act of its own, which ends sessions. `removed`: secrets that go."""
    columns: dict[str, Any] = dict(entry.columns)
    switched = columns.pop("enabled", None)
    if columns.get("display_name") == entry.name:
        columns["display_name"] = ""  # as it is answered where there is none
    if entry.options is not None:
        columns |= {name: columns.get(name, "") for name in COSMETIC - {"display_name"}}
        columns["options"], columns["sealed_options"] = entry.options, entries.sealed(row, entry)
        columns["sealed_options"] = {k: v for k, v in columns["sealed_options"].items() if k not in removed}
    wanted = None if entry.enabled_clients is None else _applications(entry.enabled_clients)
    change = trust.ConnectionChange(
        row,
        columns.get("options", row.options),
        given=frozenset(entry.secrets),
        removed=removed,
        enabled=switched,
        enabled_for_all=for_all if wanted is None else False,
        enabled_clients=None if wanted is None else frozenset(one.client_id for one in wanted),
    )
    _refuse_untrusted(call, change)
    found = [one for one in trust.differences(change) if one.what != "enabled" or row._state.adding]
    for name, value in columns.items():
        setattr(row, name, value)
    if row._state.adding:
        row.enabled = switched is not False
    if wanted is not None or for_all is not None:
        row.enabled_for_all = wanted is None and bool(for_all)
    row.save()
    if wanted is not None:
        row.enabled_clients.set(wanted)
    trust.record(row, found, actor=call.actor, at=call.at, facts=call.caller.facts)
    if switched is not None:
        act = accounts.enable_connection if switched else accounts.disable_connection
        act(row, actor=call.actor, at=call.at)


def _refuse_untrusted(call: Call, change: trust.ConnectionChange) -> None:
    author = replace(changes.NO_AUTHOR, lends=call.caller.scopes)
    if refused := trust.refusal(change, author):
        raise ApiError(403, refused.sentence, "operation_not_supported")


def _applications(named: list[str]) -> list[Application]:
    rows = {row.client_id: row for row in Application.objects.filter(client_id__in=named)}
    if unknown := [name for name in named if name not in rows]:
        raise invalid_body(f"enabled_clients: there is no client {unknown[0]}")
    return [rows[name] for name in named]


def list_clients(call: Call, connection_id: str) -> Any:
    row = find(connection_id)
    rows = Application.objects.all() if row.enabled_for_all else row.enabled_clients.all()
    return paging.checkpoints(call, rows, "clients", lambda client: {"client_id": client.client_id})


def update_clients(call: Call, connection_id: str) -> None:
    row, asked = find(connection_id, locked=True), dict[str, bool]()
    if len(call.body) > MOST_CLIENTS or not call.body:
        raise invalid_body(f"1 to {MOST_CLIENTS} entries are expected")
    for one in call.body:
        with body.reading(one if isinstance(one, dict) else {}) as reader:
            client_id, status = reader.text("client_id", required=True), reader.boolean("status")
            if status is None:
                reader.problem("status", "must be true or false")
        asked[str(client_id)] = bool(status)
    _applications(list(asked))
    everybody = Application.objects.values_list("client_id", flat=True)
    before = frozenset(everybody) if row.enabled_for_all else trust.clients_of(row)
    after = (before | {name for name, is_on in asked.items() if is_on}) - {
        name for name, is_on in asked.items() if not is_on
    }
    if after == before:
        return
    change = trust.ConnectionChange(row, row.options, enabled_for_all=False, enabled_clients=after)
    found = trust.differences(change)
    row.enabled_for_all = False
    row.save(update_fields=["enabled_for_all", "updated_at"])
    row.enabled_clients.set(_applications(sorted(after)))
    trust.record(row, found, actor=call.actor, at=call.at, facts=call.caller.facts)


def status(call: Call, connection_id: str) -> Any:
    """404 while nobody can sign in through it, as far as can be seen from here."""
    row = find(connection_id)
    if not row.enabled or row.silent_since or health.obstacles(row):
        raise ApiError(404, "The connection is offline", "connection_offline")
    return {}


def test(call: Call, connection_id: str) -> Any:
    """Ask the identity provider now, up to ten seconds."""
    return {"findings": [asdict(one) for one in health.examine(find(connection_id), at=call.at)]}


ONE = "connections/<str:connection_id>"
OPERATIONS = (
    Operation("GET", "connections", ["read:connections"], list_connections,
              "Connections; `options` with `read:connections_options`, and never a secret.",
              query=(*PAGES, *CHECKPOINTS, *FIELDS, "strategy", "name"), listed="connections"),
    Operation("POST", "connections", ["create:connections"], create, "Make a connection.", 201),
    Operation("GET", ONE, ["read:connections"], get, "One connection.", query=FIELDS),
    Operation("PATCH", ONE, ["update:connections"], update, "Change a connection; `options` replaces all of them."),
    Operation("DELETE", ONE, ["delete:connections"], delete, "Delete a connection without people.", 202),
    Operation("GET", f"{ONE}/clients", ["read:connections"], list_clients, "Which applications may use it.",
              query=CHECKPOINTS, listed="clients"),
    Operation("PATCH", f"{ONE}/clients", ["update:connections"], update_clients,
              "Which applications may use it: `[{client_id, status}]`.", 204, takes_list=True),
    Operation("GET", f"{ONE}/status", ["read:connections"], status, "200 while it works, else 404."),
    Operation("POST", f"{ONE}/test", ["update:connections"], test, "Test it now. Ours, not Auth0's.", network=True),
)  # fmt: skip
