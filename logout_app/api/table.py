"""Every operation of the API, in the order of the documents. Of two paths that fit the same address the first is asked."""

from __future__ import annotations

from logout_app.api.applications import client_grants, clients, credentials, resource_servers
from logout_app.api.ends import events
from logout_app.api.frame.operations import Operation
from logout_app.api.jobs import exports, imports, tickets
from logout_app.api.people import accounts, blocks, grants, may, refresh_tokens, sessions, users
from logout_app.api.tenant import (
    connections,
    empty,
    event_streams,
    keys,
    log_streams,
    logs,
    mails,
    prompts,
    protection,
    provisioning,
    roles,
    settings,
    signals,
)

OPERATIONS: tuple[Operation, ...] = (
    *users.OPERATIONS,
    *may.OPERATIONS,
    *accounts.OPERATIONS,
    *blocks.OPERATIONS,
    *sessions.OPERATIONS,
    *refresh_tokens.OPERATIONS,
    *grants.OPERATIONS,
    *tickets.OPERATIONS,
    *exports.OPERATIONS,
    *imports.OPERATIONS,
    *clients.OPERATIONS,
    *credentials.OPERATIONS,
    *client_grants.OPERATIONS,
    *resource_servers.OPERATIONS,
    *connections.OPERATIONS,
    *provisioning.OPERATIONS,
    *signals.OPERATIONS,
    *roles.OPERATIONS,
    *settings.OPERATIONS,
    *prompts.OPERATIONS,
    *mails.OPERATIONS,
    *keys.OPERATIONS,
    *logs.OPERATIONS,
    *log_streams.OPERATIONS,
    *event_streams.OPERATIONS,
    *events.OPERATIONS,
    *protection.OPERATIONS,
    *empty.OPERATIONS,
)
