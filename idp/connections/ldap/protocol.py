"""Signing in with the password of a directory: find the one entry, bind as it, read who it is."""

from __future__ import annotations

import contextlib
import secrets
import unicodedata
from datetime import datetime

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables
from ldap3.utils.conv import escape_filter_chars

from idp.connections.contract import Account
from idp.connections.database import LONGEST_LOGIN, LONGEST_PASSWORD, is_malformed
from idp.connections.ldap import directory, people
from idp.connections.ldap.conversation import SUCCESS, Conversation, DirectoryEntry, SearchAnswer
from idp.connections.ldap.options import LdapOptions
from idp.models import Connection, Identity
from idp.people import identities
from idp.protocol.text import normal_forms

PRINCIPAL_NAME = "sAMAccountName"  # what follows DOMAIN\


class LdapProtocol:
    @sensitive_variables("password")
    def verify(self, connection: Connection, login: str, password: str, at: datetime) -> Identity | None:
        """The identity whose password this is, blocked person or not. Raises as `prove` does."""
        account = self.prove(connection, login, password, at)
        if account is None:
            return None
        identity = identities.receive(connection, account, at=at)
        _remember_name(identity, normal_forms.name(login.strip()))
        return identity

    @sensitive_variables("password")
    def prove(self, connection: Connection, login: str, password: str, at: datetime) -> Account | None:
        """The account that the directory vouches for; nothing of it is kept.

        A name that nobody has costs the same search and the same bind as a wrong password. Raises UpstreamRefused when the
        directory refuses somebody by name, UpstreamFault when it cannot be asked.
        """
        name = login.strip()
        if not name or is_malformed(name, LONGEST_LOGIN) or not name.isprintable():
            return None
        # An empty password is an anonymous bind, which succeeds for everybody (RFC 4513 section 5.1.2).
        if not password.strip() or is_malformed(password, LONGEST_PASSWORD):
            return None
        options = directory.options_of(connection)
        return directory.ask(connection, lambda server: _prove(server, options, name, password, at))


def _remember_name(identity: Identity, login: str) -> None:
    """What was typed last: the sign-in limiter knows this person's browsers by it. It proves nothing.

    A name that the directory gave to somebody else since is theirs.
    """
    if identity.login == login or len(login) > LONGEST_LOGIN:
        return
    mine = Identity.objects.filter(pk=identity.pk)
    Identity.objects.filter(connection=identity.connection, login=login).exclude(pk=identity.pk).update(login=None)
    with contextlib.suppress(IntegrityError), transaction.atomic():  # somebody else's sign-in at the same moment
        mine.update(login=login)
        identity.login = login


@sensitive_variables("password")
def _prove(server: Conversation, options: LdapOptions, name: str, password: str, at: datetime) -> Account | None:
    entry = find(server, options, name)
    answer = _bind(server, entry.dn if entry else f"cn={secrets.token_hex(8)},{options.base_dn}", password)
    if entry is None:
        return None
    if answer.code != SUCCESS:
        if refusal := people.refusal_of(answer):
            raise refusal
        return None
    people.check_state(entry, at)
    return people.account_of(entry, options)


@sensitive_variables("password")
def _bind(server: Conversation, dn: str, password: str) -> SearchAnswer:
    """With the password in NFC, as keyboards of Windows and Linux give it; if it is wrong so, and only then, as it was typed."""
    answer = server.bind(dn, (composed := unicodedata.normalize(normal_forms.NFC, password)).encode())
    if answer.code == SUCCESS or composed == password or people.refusal_of(answer):
        return answer
    return server.bind(dn, password.encode())


def find(server: Conversation, options: LdapOptions, name: str) -> DirectoryEntry | None:
    """The one entry that this name stands for; of two, neither. `DOMAIN\\user` is a name of its own in Active Directory."""
    domain, separator, typed = name.rpartition("\\")
    labels = _labels_of(server, domain) if domain else []
    asked = options.filter_for(unicodedata.normalize(normal_forms.NFC, typed))
    entries = server.search(asked, people.attributes_for(options)) if typed else []
    if len(entries) != 1 or not entries[0].dn:
        return None
    entry = entries[0]
    if not separator:
        return entry if people.is_called(entry, typed, options) else None
    is_theirs = bool(labels) and people.domain_of(entry.dn) == labels
    return entry if is_theirs and normal_forms.name(typed) == normal_forms.name(entry.text(PRINCIPAL_NAME)) else None


def _labels_of(server: Conversation, domain: str) -> list[str]:
    """The DNS name of the domain with this NetBIOS name (MS-ADTS section 6.1.1.2.1.1), [] where there is none.

    Any other word before the backslash would be another name of the same person, with a budget of guesses of its own.
    """
    configuration = server.about_itself("configurationNamingContext")
    if not configuration:
        return []
    criteria = f"(&(objectClass=crossRef)(nETBIOSName={escape_filter_chars(domain)}))"
    found = server.search(criteria, ["nCName", "nETBIOSName"], base=configuration)
    same = [entry for entry in found if normal_forms.name(entry.text("nETBIOSName")) == normal_forms.name(domain)]
    return people.domain_of(same[0].text("nCName")) if len(same) == 1 else []
