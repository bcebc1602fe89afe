"""The form of a directory: Active Directory or another LDAP server."""

from __future__ import annotations

from typing import ClassVar

from idp.admin.connections.fields import Topic, document, email_is_verified, lines, text, tick
from idp.admin.connections.forms import ConnectionForm


class DirectoryForm(ConnectionForm):
    signs_out_upstream = False
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "The servers",
            ("servers", "start_tls", "ca_certificate"),
            "Nothing is sent in clear: ldaps, or ldap with StartTLS, and the certificate is always checked.",
        ),
        Topic(
            "Finding people",
            ("bind_dn", "bind_password", "base_dn", "user_filter", "group_attribute"),
            "An account that may only read finds the person; then the person's own password is tried.",
        ),
        Topic("Addresses", ("email_is_verified", "domain_aliases")),
    )
    secret_help: ClassVar[dict[str, str]] = {"bind_password": "Give the account no other rights than to read."}

    servers = lines("Servers", "One per line, like ldaps://dc1.fabrikamcorp.com. The next is asked when one is away.")
    start_tls = tick("StartTLS", "For servers with ldap://; ldaps:// needs none.")
    ca_certificate = document(
        "Certificate of the authority", "PEM, if the servers' certificates come from an authority of your own.", rows=8
    )
    bind_dn = text("Account", "Like CN=curfew,OU=Services,DC=fabrikamcorp,DC=com, or curfew@fabrikamcorp.com.")
    base_dn = text("Where people are", "Like OU=People,DC=fabrikamcorp,DC=com.")
    user_filter = text(
        "Filter",
        "LDAP, with {login} where the typed name goes, like (uid={login}). Empty: people by user name or e-mail address.",
    )
    email_is_verified = email_is_verified()
    group_attribute = text("Group attribute", "Empty: memberOf.")
