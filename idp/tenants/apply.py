"""Apply a tenant file to the database: in one transaction, all or nothing, and twice is the same as once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import models, transaction

from idp.applications import trail as client_trail
from idp.connections import trust
from idp.connections.database import requires_username
from idp.connections.options import COSMETIC
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
from idp.tenants import changes, configuration, connections, management, resource_servers, signals_api
from idp.tenants import clients as client_entries
from idp.tenants import people as people_entries
from idp.tenants import roles as role_entries
from idp.tenants import trail as settings_trail
from idp.tenants.applied import Applied
from idp.tenants.changes import Difference
from idp.tenants.clients import ClientEntry
from idp.tenants.file import groups as group_entries
from idp.tenants.file import provisioning, pruning, sections
from idp.tenants.file.found import find_client, identity_of, unknown_client
from idp.tenants.file.found import named as application_named
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


def apply(
    path: Path, *, at: datetime, prune: bool = False, actor: str = ACTOR, rehearsal: bool = False
) -> list[Applied]:
    """Make the database say what the file says; raises TenantFileError before anything is written.

    A rehearsal does all of it and takes it back: what it says is what would happen, and nobody hears of it.
    """
    file = parse(path)
    with transaction.atomic():
        management.ensure()
        signals_api.ensure()
        problems = file.problems + _Plan(file).problems()
        if problems:
            raise TenantFileError(problems)
        outcomes = _Application(file, at, actor, is_rehearsal=rehearsal).run()
        outcomes += pruning.prune(file, actor, at) if prune else []
        if rehearsal:
            transaction.set_rollback(True)
            configuration.forget()
    return outcomes


class _Plan:
    """The file against the rows that exist: names that it refers to, and rules that need both."""

    def __init__(self, file: TenantFile) -> None:
        self.file = file

    def problems(self) -> list[str]:
        """Of entries that could be read; of the others the file's own problems say enough."""
        found = tenant_problems(self.file.tenant, configuration.load_tenant()) if self.file.tenant else []
        for client in filter(self.file.is_read, self.file.clients):
            found += self._client(client)
        for connection in filter(self.file.is_read, self.file.connections):
            found += self._connection(connection)
        for grant in filter(self.file.is_read, self.file.grants):
            found += self._grant(grant)
        for role in filter(self.file.is_read, self.file.roles):
            found += role_entries.problems(role, self._scopes)
        for person in filter(self.file.is_read, self.file.people):
            found += self._person(person)
        for section in sections.from_above():
            entries = [entry for entry in self.file.from_above[section.key] if self.file.is_read(entry)]
            found += section.problems(entries, self.file)
        return found

    def _unknown(self, path: str, names: Iterable[str] | None) -> list[str]:
        """References to applications that are none, or several."""
        reasons = [(index, unknown_client(name, self.file)) for index, name in enumerate(names or ())]
        return [f"{path}[{index}]: {reason}" for index, reason in reasons if reason]

    def _client(self, client: ClientEntry) -> list[str]:
        try:
            row = find_client(client)
        except Application.MultipleObjectsReturned:
            return [f"{client.path}.name: several applications are called {client.name}: give the client_id"]
        return client_entries.problems(client, row)

    def _connection(self, entry: ConnectionEntry) -> list[str]:
        found = []
        row = Connection.objects.select_for_update(no_key=True).filter(name=entry.name).first()
        if row and row.strategy != entry.strategy:
            found.append(f"{entry.path}.strategy: the connection exists as {row.strategy}, and that cannot change")
        if row is None and entry.options is None:
            found += connection_problems(entry, {})
        found += connections.untyped(row, entry) if row else []
        found += self._unknown(f"{entry.path}.enabled_clients", entry.enabled_clients)
        if entry.provisioning:
            found += self._unknown(f"{entry.provisioning.path}.applications", entry.provisioning.applications)
        return found

    def _grant(self, grant: ClientGrantEntry) -> list[str]:
        found = []
        if reason := unknown_client(grant.client, self.file):
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
        found += self._unknown(f"{person.path}.applications", person.applications)
        identity = identity_of(row, person) if row else None
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

    def __init__(self, file: TenantFile, at: datetime, actor: str, *, is_rehearsal: bool) -> None:
        self.file, self.at, self.actor = file, at, actor
        self.is_rehearsal = is_rehearsal

    def run(self) -> list[Applied]:
        outcomes = [_ignored(place, keys) for place, keys in self.file.ignored.items()]
        outcomes += [self._tenant()] if "tenant" in self.file.sections else []
        outcomes += [self._client(client) for client in self.file.clients]
        outcomes += [self._connection(entry) for entry in self.file.connections]
        outcomes += [self._resource_server(entry) for entry in self.file.resource_servers]
        outcomes += [group_entries.apply(entry) for entry in self.file.groups]
        outcomes += [role_entries.apply(entry, self.actor, self.at) for entry in self.file.roles]
        outcomes += [self._grant(grant) for grant in self.file.grants]
        outcomes += [self._person(person) for person in self.file.people]
        return outcomes + list(self._from_above())

    def _from_above(self) -> Iterator[Applied]:
        for section in sections.from_above():
            for entry in self.file.from_above[section.key]:
                yield section.apply(entry, self.actor, self.at, is_rehearsal=self.is_rehearsal)

    def _tenant(self) -> Applied:
        row = settings_trail.stored()
        before = copy.copy(row)
        what = _save(row, self.file.tenant)
        found = settings_trail.changed(before, row, actor=self.actor, at=self.at)
        return Applied("tenant", row.friendly_name, what, changes=tuple(found))

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
        if note and self.is_rehearsal:
            note = "what it is known by is made and shown when the file is applied"
        if secret and not (existing and ClientSecretHasher().verify(secret, row.client_secret)):
            columns["client_secret"] = secret
        before = copy.copy(row) if existing else None
        what = _save(row, columns, existing=existing)
        found = client_trail.changed(before, row, actor=self.actor, at=self.at)
        warnings = tuple(client_entries.warnings(client, row))
        return Applied("client", client.name, what, note, warnings, tuple(found))

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
        wanted = [application_named(name) for name in entry.enabled_clients or []]
        ids = frozenset(application.client_id for application in wanted)
        found = connections.differences(row, columns, ids)
        looks = changes.differences(row, Connection(**entry.columns), COSMETIC & entry.columns.keys())
        what = _save(row, columns, existing=existing)
        trust.record(row, found, actor=self.actor, at=self.at)
        if ids != trust.clients_of(row):
            row.enabled_clients.set(wanted)
            what = "created" if what == "created" else "updated"
        if closing and accounts.disable_connection(row, actor=self.actor, at=self.at):
            what, found = "updated", [*found, Difference("enabled", changes.ON, changes.OFF)]
        found = [*found, *looks, *self._provisioning(entry, row)]
        return Applied("connection", entry.name, "updated" if found and existing else what, changes=tuple(found))

    def _provisioning(self, entry: ConnectionEntry, row: Connection) -> list[Difference]:
        if entry.provisioning is None:
            return []
        chosen = [application_named(name) for name in entry.provisioning.applications or []]
        return provisioning.apply(entry.provisioning, row, chosen, self.actor, self.at)

    def _resource_server(self, entry: ResourceServerEntry) -> Applied:
        row = ResourceServer.objects.filter(identifier=entry.identifier).first()
        columns = ({} if row else resource_servers.WHERE_SILENT) | entry.columns
        warnings = tuple(resource_servers.warnings(row, columns)) if row else ()
        saved = row or ResourceServer(identifier=entry.identifier)
        found, what = _changed(saved, columns), _save(saved, columns, existing=row is not None)
        return Applied("resource server", entry.identifier, what, warnings=warnings, changes=found)

    def _grant(self, grant: ClientGrantEntry) -> Applied:
        pair = {
            "application": application_named(grant.client),
            "resource_server": ResourceServer.objects.get(identifier=grant.audience),
        }
        row = ClientGrant.objects.filter(**pair).first()
        saved, columns = row or ClientGrant(**pair), {"scope": grant.scope}
        found, what = _changed(saved, columns), _save(saved, columns, existing=row is not None)
        return Applied("client grant", f"{grant.client} at {grant.audience}", what, changes=found)

    def _person(self, person: PersonEntry) -> Applied:
        connection = Connection.objects.get(name=person.connection)
        identity = identity_of(connection, person)
        if identity is None:
            user = self._new_person(connection, person)
            people_entries.give(person, user, self.actor, self.at)
            return Applied("user", person.email, "created", changes=_changed(User(), person.columns))
        found = list(self._known_person(person, identity.user))
        return Applied("user", person.email, "updated" if found else "unchanged", changes=tuple(found))

    def _known_person(self, person: PersonEntry, user: User) -> Iterator[Difference]:
        columns = people_entries.columns(person, user)
        yield from _changed(user, columns)
        _save(user, columns)
        if person.email != user.email:
            yield Difference("email", changes.shown(user.email), person.email)
            self._change_email(person, user)
        if person.password and not user.check_password(person.password):
            yield changes.of_secret("password", held=user.has_usable_password())
            accounts.set_password(user, person.password, actor=self.actor)
        if person.blocked is True and accounts.block_user(user, actor=self.actor, at=self.at):
            yield Difference("blocked", changes.OFF, changes.ON)
        if person.blocked is False and accounts.unblock_user(user, actor=self.actor, at=self.at):
            yield Difference("blocked", changes.ON, changes.OFF)
        if people_entries.give(person, user, self.actor, self.at):
            yield Difference("roles, groups and applications", "others", "those of the file")

    def _change_email(self, person: PersonEntry, user: User) -> None:
        try:
            accounts.change_email(user, person.email, verified=user.email_verified, actor=self.actor, at=self.at)
        except accounts.EmailTaken as taken:
            raise TenantFileError([f"{person.path}.email: {taken}"]) from None

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


def _save(row: models.Model, columns: dict[str, Any], *, existing: bool = True) -> str:
    changed = [name for name, value in columns.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, columns[name])
    if existing and not changed:
        return "unchanged"
    row.save()
    return "updated" if existing else "created"


def _changed(row: models.Model, columns: dict[str, Any]) -> tuple[Difference, ...]:
    """What these columns change of a row that does not have them yet."""
    after = copy.copy(row)
    for name, value in columns.items():
        setattr(after, name, value)
    return tuple(changes.differences(row, after, columns))


def _ignored(place: str, keys: list[str]) -> Applied:
    what = f"keys of {place}" if place else "sections"
    return Applied(what, ", ".join(keys), "ignored", "Auth0's, without a meaning here")
