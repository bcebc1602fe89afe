"""Apply a tenant file to the database: in one transaction, all or nothing, and twice is the same as once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import models, transaction

from idp.applications import trail as client_trail
from idp.connections import trust
from idp.connections.database import by_login, requires_username
from idp.models import (
    Application,
    ClientGrant,
    Connection,
    Identity,
    ResourceServer,
    Strategy,
    User,
    new_database_sub,
)
from idp.people import accounts, password_policy, passwords
from idp.people.hashers import ClientSecretHasher
from idp.protocol import clients
from idp.protocol.opaque import new_secret
from idp.protocol.text import normal_forms
from idp.tenants import clients as client_entries
from idp.tenants import configuration, connections, resource_servers, signals_api
from idp.tenants import people as people_entries
from idp.tenants import roles as role_entries
from idp.tenants import trail as settings_trail
from idp.tenants.applied import Applied
from idp.tenants.clients import ClientEntry
from idp.tenants.reader import TenantFileError
from idp.tenants.schema import (
    ClientGrantEntry,
    ConnectionEntry,
    PersonEntry,
    ResourceServerEntry,
    TenantFile,
    connection_problems,
    parse,
    tenant_problems,
)

ACTOR = "system"


def apply(path: Path, *, at: datetime, prune: bool = False) -> list[Applied]:
    """Make the database say what the file says; raises TenantFileError before anything is written."""
    file = parse(path)
    with transaction.atomic():
        signals_api.ensure()
        problems = _Plan(file).problems()
        if problems:
            raise TenantFileError(problems)
        return _Application(file, at).run(prune=prune)


class _Plan:
    """The file against the rows that exist: names that it refers to, and rules that need both."""

    def __init__(self, file: TenantFile) -> None:
        self.file = file

    def problems(self) -> list[str]:
        found = tenant_problems(self.file.tenant, configuration.load_tenant()) if self.file.tenant else []
        for client in self.file.clients:
            found += self._client(client)
        known = {c.client_id for c in self.file.clients} | {c.name for c in self.file.clients}
        for connection in self.file.connections:
            found += self._connection(connection, known)
        for grant in self.file.grants:
            found += self._grant(grant, known)
        found += [sentence for row in self.file.roles for sentence in role_entries.problems(row, self._scopes)]
        for person in self.file.people:
            found += self._person(person)
        return found

    def _client(self, client: ClientEntry) -> list[str]:
        try:
            row = find_client(client)
        except Application.MultipleObjectsReturned:
            return [f"{client.path}.name: several applications are called {client.name}: give the client_id"]
        return client_entries.problems(client, row)

    def _connection(self, entry: ConnectionEntry, known: set[str | None]) -> list[str]:
        found = []
        row = Connection.objects.select_for_update(no_key=True).filter(name=entry.name).first()
        if row and row.strategy != entry.strategy:
            found.append(f"{entry.path}.strategy: the connection exists as {row.strategy}, and that cannot change")
        if row is None and entry.options is None:
            found += connection_problems(entry, {})
        found += connections.untyped(row, entry) if row else []
        for index, name in enumerate(entry.enabled_clients or []):
            if reason := _unknown_client(name, known):
                found.append(f"{entry.path}.enabled_clients[{index}]: {reason}")
        return found

    def _grant(self, grant: ClientGrantEntry, known: set[str | None]) -> list[str]:
        found = []
        if reason := _unknown_client(grant.client, known):
            found.append(f"{grant.path}.client_id: {reason}")
        scopes = self._scopes(grant.audience)
        if scopes is None:
            found.append(f"{grant.path}.audience: there is no resource server {grant.audience}")
        else:
            missing = [scope for scope in grant.scope if scope not in scopes]
            found += [f"{grant.path}.scope: {grant.audience} has no scope {scope}" for scope in missing]
        return found

    def _scopes(self, audience: str) -> set[str] | None:
        for entry in self.file.resource_servers:
            if entry.identifier == audience and "scopes" in entry.columns:
                return {scope["value"] for scope in entry.columns["scopes"]}
        row = ResourceServer.objects.filter(identifier=audience).first()
        if row:
            return row.scope_values
        return set() if any(entry.identifier == audience for entry in self.file.resource_servers) else None

    def _person(self, person: PersonEntry) -> list[str]:
        strategies = {entry.name: entry.strategy for entry in self.file.connections}
        row = Connection.objects.filter(name=person.connection).first()
        strategy = strategies.get(person.connection) or (row and row.strategy)
        if not strategy:
            return [f"{person.path}.connection: there is no connection {person.connection}"]
        if strategy != Strategy.DATABASE:
            return [f"{person.path}.connection: people of {person.connection} come from there when they sign in"]
        found = people_entries.unknown_roles(person, self.file)
        known = {client.name for client in self.file.clients} | {client.client_id for client in self.file.clients}
        for index, name in enumerate(person.applications or []):
            if reason := _unknown_client(name, known):
                found.append(f"{person.path}.applications[{index}]: {reason}")
        identity = _identity(row, person) if row else None
        if identity is None and not person.password:
            found.append(f"{person.path}.password: is missing")
        will_be = self._as_it_will_be(person.connection, row)
        found += self._weak_password(person, will_be, identity)
        if "@" in person.login and requires_username(will_be):
            found.append(
                f"{person.path}.username: is missing, or has an @; people of {person.connection} sign in with it"
            )
        sub = person.user_id
        if identity and sub and identity.sub != sub:
            found.append(f"{person.path}.user_id: the person exists as {identity.sub}, and that cannot change")
        if identity is None and sub and User.objects.filter(user_id=f"auth0|{sub}").exists():
            found.append(f"{person.path}.user_id: belongs to somebody else")
        return found

    def _weak_password(self, person: PersonEntry, row: Connection, identity: Identity | None) -> list[str]:
        """What the policy has against a password that would be set; the one that somebody has stays valid."""
        if not person.password:
            return []
        user = User(email=person.email, **person.columns)
        found = password_policy.problems(person.password, password_policy.policy_of(row), user)
        if found and identity and passwords.matches(identity.user.password, person.password):
            return []
        return [f"{person.path}.password: {sentence}" for sentence in found]

    def _as_it_will_be(self, name: str, row: Connection | None) -> Connection:
        """The connection with the options of the file, if it has any; not to be saved."""
        entry = next((entry for entry in self.file.connections if entry.name == name), None)
        options = entry.options if entry else None
        return Connection(name=name, options=(row.options if row else {}) if options is None else options)


class _Application:
    """Writes a file that `_Plan` has nothing against."""

    def __init__(self, file: TenantFile, at: datetime) -> None:
        self.file = file
        self.at = at

    def run(self, *, prune: bool) -> list[Applied]:
        outcomes = [_ignored(place, keys) for place, keys in self.file.ignored.items()]
        outcomes += [self._tenant()] if "tenant" in self.file.sections else []
        outcomes += [self._client(client) for client in self.file.clients]
        outcomes += [self._connection(entry) for entry in self.file.connections]
        outcomes += [self._resource_server(entry) for entry in self.file.resource_servers]
        outcomes += [Applied("role", row.name, role_entries.apply(row, ACTOR, self.at)) for row in self.file.roles]
        outcomes += [self._grant(grant) for grant in self.file.grants]
        outcomes += [self._person(person) for person in self.file.people]
        return outcomes + (self._prune() if prune else [])

    def _tenant(self) -> Applied:
        row = settings_trail.stored()
        before = copy.copy(row)
        what = _save(row, self.file.tenant)
        settings_trail.changed(before, row, actor=ACTOR, at=self.at)
        return Applied("tenant", row.friendly_name, what)

    def _client(self, client: ClientEntry) -> Applied:
        row = find_client(client)
        existing = row is not None
        row = row or Application()
        columns = ({} if existing else client_entries.WHERE_SILENT) | client_entries.columns_of(client)
        note = "" if existing or client.client_id else f"client_id {row.client_id}"
        secret = client.secret
        method = columns.get("token_endpoint_auth_method", row.token_endpoint_auth_method)
        if not secret and not existing and method in clients.SECRET_METHODS:
            secret = new_secret()
            note = f"client_id {columns.get('client_id', row.client_id)}, client_secret {secret}"
        if secret and not (existing and ClientSecretHasher().verify(secret, row.client_secret)):
            columns["client_secret"] = secret
        before = copy.copy(row) if existing else None
        what = _save(row, columns, existing=existing)
        client_trail.changed(before, row, actor=ACTOR, at=self.at)
        return Applied("client", client.name, what, note, tuple(client_entries.warnings(client, row)))

    def _connection(self, entry: ConnectionEntry) -> Applied:
        row = Connection.objects.select_for_update(no_key=True).filter(name=entry.name).first()
        existing = row is not None
        row = row or Connection(name=entry.name)
        columns = entry.columns | {"strategy": entry.strategy}
        closing = existing and row.enabled and columns.get("enabled") is False
        if closing:
            del columns["enabled"]
        if entry.options is not None:
            columns["options"] = entry.options
        columns["sealed_options"] = connections.sealed(row, entry)
        columns["enabled_for_all"] = entry.enabled_clients is None
        wanted = [_application(name) for name in entry.enabled_clients or []]
        ids = frozenset(application.client_id for application in wanted)
        changes = connections.differences(row, columns, ids)
        what = _save(row, columns, existing=existing)
        trust.record(row, changes, actor=ACTOR, at=self.at)
        if ids != trust.clients_of(row):
            row.enabled_clients.set(wanted)
            what = "created" if what == "created" else "updated"
        if closing and accounts.disable_connection(row, actor=ACTOR, at=self.at):
            what = "updated"
        return Applied("connection", entry.name, what)

    def _resource_server(self, entry: ResourceServerEntry) -> Applied:
        row = ResourceServer.objects.filter(identifier=entry.identifier).first()
        columns = ({} if row else resource_servers.WHERE_SILENT) | entry.columns
        warnings = tuple(resource_servers.warnings(row, columns)) if row else ()
        what = _save(row or ResourceServer(identifier=entry.identifier), columns, existing=row is not None)
        return Applied("resource server", entry.identifier, what, warnings=warnings)

    def _grant(self, grant: ClientGrantEntry) -> Applied:
        pair = {
            "application": _application(grant.client),
            "resource_server": ResourceServer.objects.get(identifier=grant.audience),
        }
        row = ClientGrant.objects.filter(**pair).first()
        what = _save(row or ClientGrant(**pair), {"scope": grant.scope}, existing=row is not None)
        return Applied("client grant", f"{grant.client} at {grant.audience}", what)

    def _person(self, person: PersonEntry) -> Applied:
        connection = Connection.objects.get(name=person.connection)
        identity = _identity(connection, person)
        if identity is None:
            people_entries.give(person, self._new_person(connection, person), ACTOR, self.at)
            return Applied("user", person.email, "created")
        user = identity.user
        changed = _save(user, people_entries.columns(person, user)) == "updated"
        if person.email != user.email:
            changed |= accounts.change_email(user, person.email, verified=user.email_verified, actor=ACTOR, at=self.at)
        if person.password and not user.check_password(person.password):
            accounts.set_password(user, person.password, actor=ACTOR)
            changed = True
        if person.blocked is True:
            changed |= accounts.block_user(user, actor=ACTOR, at=self.at)
        elif person.blocked is False:
            changed |= accounts.unblock_user(user, actor=ACTOR, at=self.at)
        changed |= people_entries.give(person, user, ACTOR, self.at)
        return Applied("user", person.email, "updated" if changed else "unchanged")

    def _new_person(self, connection: Connection, person: PersonEntry) -> User:
        sub = person.user_id or new_database_sub()
        user = User(
            user_id=f"auth0|{sub}",
            email=person.email,
            is_active=not person.blocked,
            created_at=self.at,
            claims={} if "@" in person.typed else {"preferred_username": person.typed},
            **people_entries.columns(person, User()),
        )
        user.set_password(person.password)
        user.save()
        Identity.objects.create(
            user=user,
            connection=connection,
            sub=sub,
            login=person.login,
            email=normal_forms.name(person.email),
            created_at=self.at,
        )
        return user

    def _prune(self) -> list[Applied]:
        """Remove what the sections of the file do not name; rows that made themselves or belong to the system stay."""
        file, outcomes = self.file, []
        if "users" in file.sections:
            outcomes += self._prune_people()
        if "clientGrants" in file.sections:
            named = {(_application(g.client).pk, g.audience) for g in file.grants}
            for grant in ClientGrant.objects.select_related("application", "resource_server"):
                if (grant.application_id, grant.resource_server.identifier) not in named:
                    name = f"{grant.application.name} at {grant.resource_server.identifier}"
                    outcomes.append(_remove("client grant", name, grant))
        if "resourceServers" in file.sections:
            named_apis = [entry.identifier for entry in file.resource_servers]
            spare = ResourceServer.objects.filter(is_system=False).exclude(identifier__in=named_apis)
            outcomes += [_remove("resource server", row.identifier, row) for row in spare]
        if "roles" in file.sections:
            gone = role_entries.prune(file.roles, ACTOR, self.at)
            outcomes += [Applied("role", name, "removed") for name in gone]
        if file.sections & {"connections", "databases"}:
            names = [entry.name for entry in file.connections]
            spare_connections = Connection.objects.exclude(name__in=names)
            if "connections" not in file.sections:
                spare_connections = spare_connections.filter(strategy=Strategy.DATABASE)
            outcomes += [self._prune_connection(row) for row in spare_connections]
        if "clients" in file.sections:
            kept = [row.pk for row in map(find_client, file.clients) if row]
            spare_clients = Application.objects.filter(registration=None).exclude(pk__in=kept)
            outcomes += [self._prune_client(row) for row in spare_clients]
        return outcomes

    def _prune_client(self, row: Application) -> Applied:
        client_trail.deleted(row, actor=ACTOR, at=self.at)
        return _remove("client", f"{row.name} {row.client_id}", row)

    def _prune_people(self) -> list[Applied]:
        named = {(person.connection, person.login) for person in self.file.people}
        outcomes = []
        rows = Identity.objects.filter(connection__strategy=Strategy.DATABASE).select_related("user", "connection")
        for identity in rows:
            if (identity.connection.name, normal_forms.name(identity.login or "")) not in named:
                accounts.delete_user(identity.user, actor=ACTOR, at=self.at)
                outcomes.append(Applied("user", identity.user.email or identity.sub, "removed"))
        return outcomes

    def _prune_connection(self, row: Connection) -> Applied:
        """People hang on their connection: one that has any is closed, which ends their sessions, and kept."""
        closed = accounts.disable_connection(row, actor=ACTOR, at=self.at)
        people = row.identities.count()
        if people == 0:
            trust.record(row, trust.deletion(row), actor=ACTOR, at=self.at)
            return _remove("connection", row.name, row)
        return Applied("connection", row.name, "closed" if closed else "unchanged", f"{people} people belong to it")


def find_client(client: ClientEntry) -> Application | None:
    """The row of an entry, locked: by client_id, else by name. Raises MultipleObjectsReturned for a name that several have."""
    rows: models.QuerySet[Application] = Application.objects.select_for_update(no_key=True)
    if client.client_id:
        return rows.filter(client_id=client.client_id).first()
    try:
        return rows.get(name=client.name)
    except Application.DoesNotExist:
        return None


def _application(name: str) -> Application:
    rows: models.QuerySet[Application] = Application.objects.all()
    return rows.filter(client_id=name).first() or rows.get(name=name)


def _unknown_client(name: str, known: Iterable[str | None]) -> str | None:
    if name in known or Application.objects.filter(client_id=name).exists():
        return None
    found = Application.objects.filter(name=name).count()
    if found > 1:
        return f"several clients are called {name}: give the client_id"
    return None if found else f"there is no client {name}"


def _identity(connection: Connection | None, person: PersonEntry) -> Identity | None:
    return by_login(connection, person.typed) if connection else None


def _save(row: models.Model, columns: dict[str, Any], *, existing: bool = True) -> str:
    changed = [name for name, value in columns.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, columns[name])
    if existing and not changed:
        return "unchanged"
    row.save()
    return "updated" if existing else "created"


def _ignored(place: str, keys: list[str]) -> Applied:
    what = f"keys of {place}" if place else "sections"
    return Applied(what, ", ".join(keys), "ignored", "Auth0's, without a meaning here")


def _remove(kind: str, name: str, row: models.Model) -> Applied:
    row.delete()
    return Applied(kind, name, "removed")
