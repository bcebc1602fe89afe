"""Who is not welcome any more: people of a directory who were disabled, removed, or left what the user filter asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ldap3.utils.conv import escape_bytes, escape_filter_chars

from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.ldap import directory, people
from idp.connections.ldap.conversation import Conversation, DirectoryEntry
from idp.connections.ldap.options import LdapOptions
from idp.models import Connection, Identity

BATCH = 50  # identities that one search asks for

GONE = "is not found any more"


def departed(connection: Connection, identities: Sequence[Identity], *, at: datetime) -> list[tuple[Identity, str]]:
    """Those of the identities, at most BATCH, whose account may not sign in any more, each with the reason.

    A lock after wrong passwords is none: anybody could end somebody's sessions by guessing. Raises UpstreamFault when the
    directory cannot tell; then nobody has left.
    """
    options = directory.options_of(connection)
    return directory.ask(connection, lambda server: _departed(server, options, identities, at))


def _departed(
    server: Conversation, options: LdapOptions, identities: Sequence[Identity], at: datetime
) -> list[tuple[Identity, str]]:
    anybody = options.filter_for_anybody()
    attributes = people.attributes_for(options)
    if not server.search(anybody, attributes, most=1):
        raise UpstreamFault(f"{server.address} shows nobody at all below {options.base_dn}; it is not asked who left.")
    keys = "".join(_is(identity.sub) for identity in identities)
    found = server.search(f"(&{anybody}(|{keys}))", attributes, most=len(identities))
    reasons = {people.key_of(entry): _reason(entry, at) for entry in found}
    states = [(identity, reasons.get(identity.sub, GONE)) for identity in identities]
    return [(identity, reason) for identity, reason in states if reason]


def _is(sub: str) -> str:
    """The part of a filter that finds the entry with this key, whichever kind of directory it is."""
    text = escape_filter_chars(sub)
    try:
        guid = escape_bytes(UUID(sub).bytes_le)
    except ValueError:
        guid = text
    return f"(objectGUID={guid})(entryUUID={text})(nsUniqueId={text})"


def _reason(entry: DirectoryEntry, at: datetime) -> str:
    try:
        people.check_state(entry, at)
    except UpstreamRefused as refusal:
        return refusal.detail
    return ""
