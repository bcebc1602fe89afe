"""What *Test connection* finds out about a directory: each server, its certificate, the service account, the people."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone

from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.ldap import people
from idp.connections.ldap.conversation import Conversation, Unreachable
from idp.connections.ldap.directory import LIMIT, introduce, options_of
from idp.connections.ldap.options import LdapOptions, ServerAddress
from idp.connections.options import secret
from idp.models import Connection

SOON = timedelta(days=30)
BUDGET = 10.0  # seconds for all servers together


def check(connection: Connection) -> list[Finding]:
    """Ask every server, in their order, also those that failed a moment ago. Signs nobody in."""
    try:
        options = options_of(connection)
    except UpstreamFault as fault:
        return [Finding("error", fault.reason)]
    password = secret(connection, "bind_password").encode()
    deadline = time.monotonic() + BUDGET
    findings: list[Finding] = []
    for index, address in enumerate(options.servers):
        share = min(LIMIT, (deadline - time.monotonic()) / (len(options.servers) - index))
        findings += _check_server(address, options, password, time.monotonic() + share)
    if not options.bind_dn:
        findings.append(Finding("warning", "There is no bind_dn: people are searched for anonymously."))
    return findings


def _check_server(address: ServerAddress, options: LdapOptions, password: bytes, deadline: float) -> list[Finding]:
    findings: list[Finding] = []
    try:
        with Conversation(address, options, deadline=deadline) as server:
            findings.append(_certificate(server))
            introduce(server, options, password)
            findings.append(_people(server, options))
    except Unreachable as error:
        findings.append(Finding("error", f"{address} {error}."))
    except UpstreamFault as fault:
        findings.append(Finding("error", fault.reason))
    return findings


def _certificate(server: Conversation) -> Finding:
    ends = server.certificate_ends_at
    left = ends - timezone.now()
    text = f"{server.address} answers by TLS; its certificate is trusted and ends on {ends:%d %B %Y}"
    if left < SOON:
        return Finding("warning", f"{text}, in {left.days} days.", expires=True)
    return Finding("ok", f"{text}.")


def _people(server: Conversation, options: LdapOptions) -> Finding:
    who = options.bind_dn or "an anonymous client"
    found = server.search(options.filter_for_anybody(), people.attributes_for(options), most=1)
    if not found:
        return Finding("error", f"{who} finds nobody below {options.base_dn} with user_filter on {server.address}.")
    try:
        people.key_of(found[0])
    except UpstreamFault as fault:
        return Finding("error", fault.reason)
    return Finding("ok", f"{who} finds people below {options.base_dn} on {server.address}, for example {found[0].dn}.")
