"""What an administrator configures, cached per process and never stale.

Every change of a configuration row bumps `TenantSettings.config_version` in the same transaction. The hot paths carry that
number in the SELECT that they make anyway (`VERSION`), and `at(version)` gives the snapshot of it: a change made by any
process is seen by the next request of every process, for no extra statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, cast

from django.db import models
from django.db.models import F, Subquery
from django.db.models.signals import m2m_changed, post_delete, post_save

from idp.database import prepared
from idp.models import Application, ClientGrant, Connection, ResourceServer, Role, SigningKey, TenantSettings
from idp.protocol.opaque import new_secret
from idp.protocol.text import storable

T = TypeVar("T")
VERSION = Subquery(TenantSettings.objects.values("config_version")[:1])


class Memo(Generic[T]):
    """Names one thing that a module derives from configuration, and gives it its type. Made once, at the top of the module.

    Each is a key of its own, whatever it is called: `what` is for people who look at a snapshot.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"<Memo: {self.what}>"


class Snapshot:
    """Configuration rows as of one version, loaded when first asked for. Treat what it gives as read-only."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}
        self._by_pk: dict[int, Application] = {}
        self._connections: dict[str | int, Connection] = {}  # by name and by key
        self._resource_servers: dict[str, ResourceServer] | None = None
        self._tenant: TenantSettings | None = None
        self._derived: dict[tuple[Memo[Any], Hashable], object] = {}

    @property
    def tenant(self) -> TenantSettings:
        if self._tenant is None:
            self._tenant = load_tenant()
        return self._tenant

    def application(self, client_id: str) -> Application | None:
        """The application with this client_id, enabled or not; None is not remembered."""
        if client_id not in self._applications:
            if storable.problem(client_id):
                return None
            row = Application.objects.filter(client_id=client_id).first()
            if row is None:
                return None
            self._remember(row)
        return self._applications[client_id]

    def application_by_pk(self, pk: int) -> Application | None:
        if pk not in self._by_pk:
            row = Application.objects.filter(pk=pk).first()
            if row is None:
                return None
            self._remember(row)
        return self._by_pk[pk]

    def resource_server(self, identifier: str) -> ResourceServer | None:
        if self._resource_servers is None:
            self._resource_servers = {row.identifier: row for row in ResourceServer.objects.all()}
        return self._resource_servers.get(identifier)

    def connection(self, name: str) -> Connection | None:
        """The connection with this name, enabled or not; None is not remembered."""
        return None if storable.problem(name) else self._connection(name, name=name)

    def connection_by_pk(self, pk: int) -> Connection | None:
        return self._connection(pk, pk=pk)

    def derived(self, memo: Memo[T], make: Callable[[], T], of: Hashable = None) -> T:
        """What `make` makes of the configuration, made once; once for each `of`, if there are several.

        Threads that come at the same time may both make it: one of the two stays, and both get that one.
        """
        key = memo, of
        if key not in self._derived:
            self._derived.setdefault(key, make())
        return cast(T, self._derived[key])

    def _connection(self, key: str | int, **columns: str | int) -> Connection | None:
        if key not in self._connections:
            row = Connection.objects.filter(**columns).first()
            if row is None:
                return None
            with self._lock:
                self._connections[row.name] = self._connections[row.pk] = row
        return self._connections[key]

    def _remember(self, row: Application) -> None:
        with self._lock:
            self._applications[row.client_id] = self._by_pk[row.pk] = row


def load_tenant() -> TenantSettings:
    row = TenantSettings.objects.get_or_create(pk=1)[0]
    return row if row.pairwise_salt else _salted(row)


def _salted(row: TenantSettings) -> TenantSettings:
    """A row that a release without pairwise subjects made, beside this one. Of processes that come at the same time one decides the salt."""
    TenantSettings.objects.filter(pk=row.pk, pairwise_salt="").update(pairwise_salt=new_secret())
    row.refresh_from_db(fields=["pairwise_salt"])
    return row


_snapshot = Snapshot(-1)


def at(version: int | None) -> Snapshot:
    """The snapshot of this version; None (no settings row yet) is never cached."""
    global _snapshot  # one reference, replaced as a whole
    if version is None:
        return Snapshot(-1)
    snapshot = _snapshot
    if snapshot.version != version:
        snapshot = _snapshot = Snapshot(version)
    return snapshot


def forget() -> None:
    """What was read in a transaction that is taken back, under a version that somebody else will give away."""
    global _snapshot  # as above
    _snapshot = Snapshot(-1)


def current() -> Snapshot:
    """The snapshot of this moment, for one small SELECT."""
    rows = prepared.fetch(f"SELECT config_version FROM {TenantSettings._meta.db_table}")  # noqa: S608
    return at(rows[0][0] if rows else None)


def remembered_tenant() -> TenantSettings | None:
    """The settings that this process saw last, for what may be out of date; None: it has seen none. No statement."""
    return _snapshot._tenant


def bump(**_: Any) -> None:
    if not TenantSettings.objects.update(config_version=F("config_version") + 1):
        TenantSettings.objects.get_or_create(pk=1)


def watch() -> None:
    """Bump on every save and delete of a configuration row (`QuerySet.update()` must call `bump()` itself)."""
    watched: tuple[type[models.Model], ...] = (
        Application,
        ClientGrant,
        Connection,
        ResourceServer,
        Role,
        SigningKey,
        TenantSettings,
    )
    for model in watched:
        for signal in (post_save, post_delete):
            signal.connect(bump, sender=model, dispatch_uid=f"curfew configuration {model.__name__}")
    m2m_changed.connect(bump, sender=Connection.enabled_clients.through, dispatch_uid="curfew configuration clients")
