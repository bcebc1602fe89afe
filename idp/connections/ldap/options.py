"""The options of a directory, read once and checked in words for the administrator."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import parse_filter
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from idp.protocol.uris import is_plain

LOGIN = "{login}"
# Active Directory's people (computers are `user` too, but not of the category) and those of plain LDAP schemas. An
# attribute that the directory does not know makes its part undefined, not the whole (RFC 4511 section 4.5.1.7).
DEFAULT_FILTER = (
    "(&(|(&(objectCategory=person)(objectClass=user))(objectClass=inetOrgPerson)(objectClass=posixAccount))"
    "(|(sAMAccountName={login})(userPrincipalName={login})(mail={login})(uid={login})))"
)
DEFAULT_GROUPS = "memberOf"
PORTS = {"ldap": 389, "ldaps": 636}
MOST_SERVERS = 8

_COMPARED = re.compile(r"\(([A-Za-z][A-Za-z0-9-]*)=\{login\}\)")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    host: str
    port: int
    tls: bool  # from the first byte; else StartTLS before anything else is said

    def __str__(self) -> str:
        return f"{'ldaps' if self.tls else 'ldap'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LdapOptions:
    """Where the directory is and who is found in it. `bind_dn` empty: the search is anonymous."""

    servers: tuple[ServerAddress, ...]
    base_dn: str
    start_tls: bool = False
    ca_certificate: str = ""  # PEM; empty: the system's certificate authorities
    bind_dn: str = ""
    user_filter: str = DEFAULT_FILTER
    group_attribute: str = DEFAULT_GROUPS

    def filter_for(self, login: str) -> str:
        """The filter that finds this person; what they typed is a value in it and nothing else (RFC 4515 section 3)."""
        return self.user_filter.replace(LOGIN, escape_filter_chars(login))

    def filter_for_anybody(self) -> str:
        """The filter that finds everybody who may sign in."""
        return self.user_filter.replace(LOGIN, "*")

    @property
    def login_attributes(self) -> tuple[str, ...]:
        """The attributes that the filter compares with what was typed."""
        return tuple(dict.fromkeys(_COMPARED.findall(self.user_filter)))

    @property
    def tls_context(self) -> ssl.SSLContext:
        """Verifies the certificate and the host name. Raises ssl.SSLError for a CA certificate that is none."""
        return ssl.create_default_context(cadata=self.ca_certificate or None)


def read(options: Mapping[str, Any]) -> LdapOptions:
    """The options as they are stored. Raises ValueError with the first problem."""
    if found := problems("ad", options):
        raise ValueError(found[0])
    return LdapOptions(
        servers=tuple(_server(text) for text in options["servers"]),
        base_dn=options["base_dn"],
        start_tls=bool(options.get("start_tls")),
        ca_certificate=options.get("ca_certificate") or "",
        bind_dn=options.get("bind_dn") or "",
        user_filter=options.get("user_filter") or DEFAULT_FILTER,
        group_attribute=options.get("group_attribute") or DEFAULT_GROUPS,
    )


def problems(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong, one sentence each, beginning with the option's name. Asks nobody."""
    texts = ("base_dn", "bind_dn", "ca_certificate", "user_filter", "group_attribute")
    wrong = [f"{name} must be text." for name in texts if not isinstance(options.get(name, ""), str | None)]
    if wrong:
        return wrong
    return [
        *_servers(options.get("servers"), start_tls=options.get("start_tls") is True),
        *_dn("base_dn", options.get("base_dn") or "", required=True),
        *_dn("bind_dn", options.get("bind_dn") or "", required=False),
        *_filter(options.get("user_filter") or DEFAULT_FILTER),
        *_group_attribute(options.get("group_attribute") or DEFAULT_GROUPS),
        *_certificate(options.get("ca_certificate") or ""),
    ]


def _server(text: str) -> ServerAddress:
    parts = urlsplit(text)
    return ServerAddress(parts.hostname or "", parts.port or PORTS[parts.scheme], tls=parts.scheme == "ldaps")


def _servers(value: Any, *, start_tls: bool) -> list[str]:
    if not isinstance(value, list) or not value:
        return ["servers is missing: give at least one address like ldaps://dc1.example.com."]
    if len(value) > MOST_SERVERS:
        return [f"servers may name at most {MOST_SERVERS} servers."]
    return [f"servers: {text} {reason}" for text in value if (reason := _server_problem(text, start_tls=start_tls))]


def _server_problem(text: Any, *, start_tls: bool) -> str:
    needed = "must look like ldaps://dc1.example.com or ldaps://dc1.example.com:3269."
    if not isinstance(text, str):
        return needed
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return needed
    if parts.scheme not in PORTS or not _HOST.fullmatch(parts.hostname or "") or port == 0:
        return needed
    if parts.path.strip("/") or parts.query or parts.fragment or not is_plain(parts):
        return "must be a scheme, a host and a port only."
    if parts.scheme == "ldap" and not start_tls:
        return "would send passwords in clear: use ldaps://, or switch start_tls on."
    return ""


def _dn(name: str, value: str, *, required: bool) -> list[str]:
    if not value:
        return (
            [f"{name} is missing: give the entry below which people are, like dc=example,dc=com."] if required else []
        )
    # Active Directory also binds by user@domain and DOMAIN\user.
    if name == "bind_dn" and "=" not in value and ("@" in value or "\\" in value):
        return []
    try:
        parse_dn(value)
    except (LDAPException, IndexError):
        return [f"{name}: {value} is not a distinguished name like cn=curfew,dc=example,dc=com."]
    return []


def _filter(value: str) -> list[str]:
    if not _COMPARED.search(value):
        return [f"user_filter must compare an attribute with what was typed, as in (uid={LOGIN})."]
    if value.count(LOGIN) != len(_COMPARED.findall(value)):
        return [f"user_filter may have {LOGIN} only as the whole value of a comparison, as in (uid={LOGIN})."]
    try:
        parse_filter(value.replace(LOGIN, "x"), None, True, None, None, False)
    except (LDAPException, IndexError, ValueError):
        return ["user_filter is not a filter of RFC 4515; check its parentheses."]
    return []


def _group_attribute(value: str) -> list[str]:
    return [] if _ATTRIBUTE.fullmatch(value) else ["group_attribute must be the name of one attribute, like memberOf."]


def _certificate(pem: str) -> list[str]:
    try:
        ssl.create_default_context(cadata=pem or None)
    except (ssl.SSLError, ValueError):
        return ["ca_certificate is not a certificate in PEM form (-----BEGIN CERTIFICATE-----)."]
    return []
