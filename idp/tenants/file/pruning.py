"""`apply --prune`: what the sections of a file do not name is removed, and it is said what goes with it.

A section that the file does not have is not looked at. Rows that made themselves or belong to the system stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from django.apps import apps
from django.db import models

from idp.applications import trail as client_trail
from idp.connections import trust
from idp.models import Application, ClientGrant, Connection, Identity, ResourceServer, Strategy
from idp.people import accounts, newcomers
from idp.protocol.text import normal_forms
from idp.tenants import roles
from idp.tenants.applied import Applied
from idp.tenants.file import found, groups, sections
from idp.tenants.schema import TenantFile


def prune(file: TenantFile, actor: str, at: datetime) -> list[Applied]:
    return list(_Pruning(file, actor, at).all())


class _Pruning:
    def __init__(self, file: TenantFile, actor: str, at: datetime) -> None:
        self.file, self.actor, self.at = file, actor, at

    def all(self) -> Iterator[Applied]:
        """In the order in which one row lets go of another."""
        for section in sections.from_above():
            if section.key in self.file.sections:
                yield from section.prune(self.file.from_above[section.key], self.actor, self.at)
        ours: tuple[tuple[set[str], Callable[[], Iterator[Applied]]], ...] = (
            ({"users"}, self._people),
            ({"clientGrants"}, self._grants),
            ({"resourceServers"}, self._resource_servers),
            ({"roles"}, self._roles),
            ({"groups"}, self._groups),
            ({"connections", "databases"}, self._connections),
            ({"clients"}, self._clients),
        )
        for keys, remove in ours:
            if keys & self.file.sections:
                yield from remove()

    def _people(self) -> Iterator[Applied]:
        kept = {(person.connection, person.login) for person in self.file.people}
        rows = Identity.objects.filter(connection__strategy=Strategy.DATABASE).select_related("user", "connection")
        for identity in rows:
            if (identity.connection.name, normal_forms.name(identity.login or "")) not in kept:
                yield self._person(identity)

    def _person(self, identity: Identity) -> Applied:
        """Whom no file made is not a file's to delete: who signed up, and who lets others in."""
        name = identity.user.email or identity.sub
        if identity.user.has_powers:
            return Applied("user", name, "unchanged", "may open the admin, and is removed there only")
        if newcomers.has_sign_up(identity.connection):  # also while it is closed, which is for a while
            return Applied("user", name, "unchanged", f"people sign up at {identity.connection.name}")
        return _removed("user", name, accounts.delete_user(identity.user, actor=self.actor, at=self.at))

    def _grants(self) -> Iterator[Applied]:
        kept = {(found.named(grant.client).pk, grant.audience) for grant in self.file.grants}
        for grant in ClientGrant.objects.select_related("application", "resource_server"):
            if (grant.application_id, grant.resource_server.identifier) not in kept:
                name = f"{grant.application.name} at {grant.resource_server.identifier}"
                yield _remove("client grant", name, grant)

    def _resource_servers(self) -> Iterator[Applied]:
        kept = [entry.identifier for entry in self.file.resource_servers]
        for row in ResourceServer.objects.filter(is_system=False).exclude(identifier__in=kept):
            yield _remove("resource server", row.identifier, row)

    def _roles(self) -> Iterator[Applied]:
        for name, people in roles.prune(self.file.roles, self.actor, self.at):
            yield Applied("role", name, "removed", f"{_people(people)} had it by themselves" if people else "")

    def _groups(self) -> Iterator[Applied]:
        kept = {name for person in self.file.people for name in person.groups or ()}
        kept |= {entry.name for entry in self.file.groups}
        for name, people in groups.prune(kept, self.actor, self.at):
            yield Applied("group", name, "removed", f"{_people(people)} in it" if people else "")

    def _connections(self) -> Iterator[Applied]:
        spare = Connection.objects.exclude(name__in=[entry.name for entry in self.file.connections])
        if "connections" not in self.file.sections:
            spare = spare.filter(strategy=Strategy.DATABASE)
        for row in spare:
            yield self._connection(row)

    def _connection(self, row: Connection) -> Applied:
        """People hang on their connection: one that has any is closed, which ends their sessions, and kept."""
        closed = accounts.disable_connection(row, actor=self.actor, at=self.at)
        people = row.identities.count()
        if people == 0:
            trust.record(row, trust.deletion(row), actor=self.actor, at=self.at)
            return _remove("connection", row.name, row)
        return Applied("connection", row.name, "closed" if closed else "unchanged", f"{people} people belong to it")

    def _clients(self) -> Iterator[Applied]:
        kept = [row.pk for row in map(found.find_client, self.file.clients) if row]
        for row in Application.objects.filter(registration=None).exclude(pk__in=kept):
            client_trail.deleted(row, actor=self.actor, at=self.at)
            yield _remove("client", f"{row.name} {row.client_id}", row)


def _remove(kind: str, name: str, row: models.Model) -> Applied:
    gone = row.delete()[1]
    return _removed(kind, name, {label: count for label, count in gone.items() if label != row._meta.label})


def _removed(kind: str, name: str, gone: Mapping[str, int]) -> Applied:
    lost = ", ".join(f"{count} {_called(label, count)}" for label, count in sorted(gone.items()) if count)
    return Applied(kind, name, "removed", f"with {lost}" if lost else "")


def _called(label: str, count: int) -> str:
    meta = apps.get_model(label)._meta
    return str(meta.verbose_name if count == 1 else meta.verbose_name_plural)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
