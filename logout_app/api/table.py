"""Every operation of the API, in the order of the documents. Of two paths that fit the same address the first is asked."""

from __future__ import annotations

from logout_app.api.applications import client_grants, clients, resource_servers
from logout_app.api.ends import events
from logout_app.api.frame.operations import Operation
from logout_app.api.people import accounts, grants, may, refresh_tokens, sessions, tickets, users
from logout_app.api.tenant import connections, empty, keys, logs, provisioning, roles, settings

OPERATIONS: tuple[Operation, ...] = (
    *users.OPERATIONS,
    *may.OPERATIONS,
    *accounts.OPERATIONS,
    *sessions.OPERATIONS,
    *refresh_tokens.OPERATIONS,
    *grants.OPERATIONS,
    *tickets.OPERATIONS,
    *clients.OPERATIONS,
    *client_grants.OPERATIONS,
    *resource_servers.OPERATIONS,
    *connections.OPERATIONS,
    *provisioning.OPERATIONS,
    *roles.OPERATIONS,
    *settings.OPERATIONS,
    *keys.OPERATIONS,
    *logs.OPERATIONS,
    *events.OPERATIONS,
    *empty.OPERATIONS,
)
