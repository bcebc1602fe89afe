"""The shape of a tenant file: the Auth0 Deploy CLI's names on the left, our columns on the right.

`parse()` looks at the file alone (and at the secrets that it points to); what it says about rows that exist is for `tenant`.
A key that the file leaves out stays out of `columns`: the row keeps what it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idp.connections import options as connection_options
from idp.connections import rules as connection_rules
from idp.connections.database import LONGEST_LOGIN
from idp.crypto.keys import ALGORITHMS
from idp.directory.rules import LONGEST_GROUP, group_name_problem
from idp.http import languages
from idp.models import Connection, SecurityMails, SecurityProfile, Strategy, TenantSettings, V2LogoutConfirmation
from idp.models.applications import TOKEN_LIFETIME
from idp.people import metadata
from idp.protocol import uris
from idp.protocol.text import normal_forms
from idp.tenants import auth0_passwords, resource_servers, rules
from idp.tenants.clients import ClientEntry, client
from idp.tenants.file import provisioning, sections
from idp.tenants.file.groups import GroupEntry, group
from idp.tenants.reader import Reader, given, load
from idp.tenants.roles import RoleEntry, role

SECTIONS = (
    "tenant",
    "clients",
    "connections",
    "databases",
    "resourceServers",
    "roles",
    "groups",
    "clientGrants",
    "users",
)


@dataclass(slots=True)
class ConnectionEntry:
    path: str
    name: str
    strategy: str
    columns: dict[str, Any]
    options: dict[str, Any] | None
    secrets: dict[str, str]
    enabled_clients: list[str] | None
    provisioning: provisioning.ProvisioningEntry | None = None


@dataclass(slots=True)
class ResourceServerEntry:
    path: str
    identifier: str
    columns: dict[str, Any]


@dataclass(slots=True)
class ClientGrantEntry:
    path: str
    client: str
    audience: str
    scope: list[str]


@dataclass(slots=True)
class PersonEntry:
    path: str
    connection: str
    email: str
    typed: str  # the name to sign in with, as it stands in the file
    user_id: str | None
    password: str | None
    blocked: bool | None
    columns: dict[str, Any]
    roles: list[str] | None
    groups: list[str] | None
    applications: list[str] | None  # names or client ids

    @property
    def login(self) -> str:
        return normal_forms.name(self.typed)


@dataclass(slots=True)
class TenantFile:
    """`sections` are the keys that the file has: --prune looks at no other. `ignored` are Auth0's keys without a meaning here,
    by their place. `problems` is what is wrong with the file alone."""

    sections: set[str]
    ignored: dict[str, list[str]] = field(default_factory=dict)
    tenant: dict[str, Any] = field(default_factory=dict)
    clients: list[ClientEntry] = field(default_factory=list)
    connections: list[ConnectionEntry] = field(default_factory=list)
    resource_servers: list[ResourceServerEntry] = field(default_factory=list)
    roles: list[RoleEntry] = field(default_factory=list)
    groups: list[GroupEntry] = field(default_factory=list)
    grants: list[ClientGrantEntry] = field(default_factory=list)
    people: list[PersonEntry] = field(default_factory=list)
    from_above: dict[str, list[Any]] = field(default_factory=dict)  # by the key of their section
    problems: list[str] = field(default_factory=list)

    def is_read(self, entry: Any) -> bool:
        """Whether an entry is as the file means it, so that it can be judged further."""
        return not any(re.match(rf"{re.escape(entry.path)}[.:\[]", problem) for problem in self.problems)


def parse(path: Path) -> TenantFile:
    """Read and check a file; raises TenantFileError for one that has no sections to read."""
    document = load(path)
    problems: list[str] = []
    top = Reader(document, "", problems, path.parent)
    known = (*SECTIONS, *(section.key for section in sections.from_above()))
    found = TenantFile({key for key in known if key in document}, problems=problems)
    if inner := top.inner("tenant"):
        found.tenant = tenant(inner)
    found.clients = [client(reader) for reader in top.each("clients")]
    found.connections = [connection(reader) for reader in top.each("connections")]
    found.connections += [connection(reader, of=Strategy.DATABASE.value) for reader in top.each("databases")]
    found.resource_servers = [resource_server(reader) for reader in top.each("resourceServers")]
    found.roles = [role(reader) for reader in top.each("roles")]
    found.groups = [group(reader) for reader in top.each("groups")]
    found.grants = [_grant(reader) for reader in top.each("clientGrants")]
    found.people = [_person(reader) for reader in top.each("users")]
    for section in sections.from_above():
        found.from_above[section.key] = [section.read(reader) for reader in top.each(section.key)]
    top.done()
    without_id = {client.name for client in found.clients if not client.client_id}
    refuse_twins(found.clients, lambda c: c.client_id, "client_id", problems)
    refuse_twins(found.clients, lambda c: c.name if c.name in without_id else None, "name", problems)
    refuse_twins(found.connections, lambda c: c.name, "name", problems)
    refuse_twins(found.resource_servers, lambda r: r.identifier, "identifier", problems)
    refuse_twins(found.roles, lambda r: r.name, "name", problems)
    refuse_twins(found.groups, lambda g: g.name, "name", problems)
    refuse_twins(found.grants, lambda g: (g.client, g.audience), "client_id and audience", problems)
    refuse_twins(found.people, lambda p: (p.connection, p.login), "connection and sign-in name", problems)
    for place, key in top.ignored:
        found.ignored.setdefault(place, []).append(key)
    return found


def refuse_twins(entries: list[Any], key: Callable[[Any], Hashable], what: str, problems: list[str]) -> None:
    """Entries that mean the same object; a key that is empty names none."""
    first: dict[Hashable, str] = {}
    for entry in entries:
        if (value := key(entry)) in (None, ""):
            continue
        if value in first:
            problems.append(f"{entry.path}: has the same {what} as {first[value]}")
        first.setdefault(value, entry.path)


def tenant(reader: Reader) -> dict[str, Any]:
    columns = given(
        friendly_name=reader.text("friendly_name"),
        picture_url=reader.text("picture_url"),
        support_email=reader.text("support_email"),
        support_url=reader.text("support_url"),
        accent_color=reader.text("accent_color"),
        picture_url_dark=reader.text("picture_url_dark"),
        favicon_url=reader.text("favicon_url"),
        background_color=reader.text("background_color"),
        background_color_dark=reader.text("background_color_dark"),
        privacy_url=reader.text("privacy_url"),
        imprint_url=reader.text("imprint_url"),
        texts=reader.anything("texts"),
        mail_templates=reader.anything("mail_templates"),
        allowed_logout_urls=reader.texts("allowed_logout_urls"),
        session_lifetime_in_minutes=_minutes(reader, "session_lifetime"),
        idle_session_lifetime_in_minutes=_minutes(reader, "idle_session_lifetime"),
        max_sessions_per_user=_within(reader, "max_sessions_per_user"),
        oidc_logout_prompt_enabled=reader.boolean("oidc_logout_prompt_enabled"),
        v2_logout_confirmation=reader.choice("v2_logout_confirmation", V2LogoutConfirmation.values),
        require_mfa=reader.boolean("require_mfa"),
        require_mfa_groups=reader.anything("require_mfa_groups"),
        remember_second_factor_days=_within(reader, "remember_second_factor_days"),
        session_management=reader.boolean("session_management"),
        profile=reader.choice("profile", SecurityProfile.values),
        require_pkce=reader.boolean("require_pkce"),
        require_pushed_authorization_requests=reader.boolean("require_pushed_authorization_requests"),
        dynamic_client_registration=reader.boolean("dynamic_client_registration"),
        sign_out_timeout=_within(reader, "sign_out_timeout"),
        password_change_ends_other_sessions=reader.boolean("password_change_ends_other_sessions"),
        security_mails=reader.choice("security_mails", SecurityMails.values),
        default_language=reader.choice("default_language", languages.available()),
        history_retention_days=_within(reader, "history_retention_days"),
        legal_hold=reader.text("legal_hold"),
    )
    if sessions := reader.inner("sessions"):  # where Auth0 has it
        columns |= given(oidc_logout_prompt_enabled=sessions.boolean("oidc_logout_prompt_enabled"))
        sessions.done()
    if cookie := reader.inner("session_cookie"):
        mode = cookie.choice("mode", ("persistent", "non-persistent"))
        columns |= given(persistent_session_cookie=mode and mode == "persistent")
        cookie.done()
    reader.done()
    return columns


def tenant_problems(columns: dict[str, Any], will_be: TenantSettings) -> list[str]:
    """What the rules have against what the file says; `will_be` is the row, which is not saved with it here."""
    for column, value in columns.items():
        setattr(will_be, column, value)
    return [
        f"tenant.{problem.field}{'' if problem.index is None else f'[{problem.index}]'}: {problem.reason}"
        for problem in rules.problems(will_be)
        if problem.field in columns
    ]


def _within(reader: Reader, key: str) -> int | None:
    bounds = rules.NUMBERS[key]
    return reader.integer(key, least=bounds.least, most=bounds.most)


def _minutes(reader: Reader, key: str) -> int | None:
    """Auth0 says lifetimes in hours, or exactly in `{key}_in_minutes`; not in both."""
    bounds = rules.NUMBERS[f"{key}_in_minutes"]
    hours = reader.number(key, least=bounds.least / 60, most=bounds.most / 60)
    minutes = _within(reader, f"{key}_in_minutes")
    if hours is not None and minutes is not None:
        reader.problem(key, f"give this or {key}_in_minutes, not both")
    return minutes if hours is None else round(hours * 60)


def connection(reader: Reader, *, of: str | None = None) -> ConnectionEntry:
    """`of`: the strategy of all entries of the section, which they may leave out."""
    before = len(reader.problems)
    strategy = reader.choice("strategy", [of] if of else Strategy.values) or of
    if strategy is None and not reader.has("strategy"):
        reader.problem("strategy", "is missing")
    columns = given(display_name=reader.text("display_name"), enabled=reader.boolean("enabled"))
    inner = reader.inner("options")
    options, secrets = _options(inner, strategy) if inner is not None and strategy else (None, {})
    if options is not None:
        columns |= {k: options.pop(k) for k in connection_options.COSMETIC if k in options}
    entry = ConnectionEntry(
        path=reader.path,
        name=reader.text("name", required=True) or "",
        strategy=strategy or "",
        columns=columns,
        options=options,
        secrets=secrets,
        enabled_clients=reader.texts("enabled_clients"),
        provisioning=provisioning.read(reader, strategy),
    )
    reader.done()
    if len(reader.problems) == before:
        reader.problems += connection_problems(entry, options)
    return entry


def connection_problems(entry: ConnectionEntry, options: dict[str, Any] | None) -> list[str]:
    """What the rules have against the connection with these options; None leaves what is stored, which is not judged here."""
    looks = {name: value for name, value in entry.columns.items() if name in connection_options.COSMETIC}
    will_be = Connection(name=entry.name, strategy=entry.strategy, options=options or {}, **looks)
    return [
        f"{_place(entry, problem)}: {problem.reason}"
        for problem in connection_rules.problems(will_be)
        if options is not None or problem.field != "options"
    ]


def _place(entry: ConnectionEntry, problem: connection_rules.ConnectionProblem) -> str:
    if problem.field == "options":
        return ".".join(filter(None, (entry.path, "options", problem.option)))
    return f"{entry.path}.options.icon_url" if problem.field == "icon_url" else f"{entry.path}.{problem.field}"


def _options(reader: Reader, strategy: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The options that this strategy knows, secret ones apart; others stay untaken, so that `done()` names them."""
    options: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for key in sorted(connection_options.KEYS[strategy]):
        if key in connection_options.SECRETS:
            if secret := reader.secret(key):
                secrets[key] = secret
        elif key in connection_options.COSMETIC:
            options |= given(**{key: reader.text(key)})
        elif (value := reader.anything(key)) is not None:
            options[key] = value
    if strategy == Strategy.DATABASE:
        auth0_passwords.read(reader)
        options |= auth0_passwords.passkeys(reader, options)
    for key, secret in secrets.items():
        if reason := connection_rules.secret_problem(strategy, key, secret):
            reader.problem(key, reason)
    reader.done()
    return options, secrets


def resource_server(reader: Reader) -> ResourceServerEntry:
    scopes = None
    if reader.has("scopes"):
        scopes = [_scope(inner) for inner in reader.each("scopes")]
        values = [scope["value"] for scope in scopes]
        if twins := sorted({value for value in values if values.count(value) > 1}):
            reader.problem("scopes", f"{twins[0]} comes twice")
    entry = ResourceServerEntry(
        path=reader.path,
        identifier=reader.text("identifier", required=True, longest=600) or "",
        columns=given(
            name=reader.text("name", longest=255),
            scopes=scopes,
            token_lifetime=reader.integer("token_lifetime", least=TOKEN_LIFETIME.least, most=TOKEN_LIFETIME.most),
            token_dialect=resource_servers.dialect(reader),
            signing_alg=reader.choice("signing_alg", ALGORITHMS),
            allow_offline_access=reader.boolean("allow_offline_access"),
            enforce_policies=reader.boolean("enforce_policies"),
        ),
    )
    reader.done()
    return entry


def _scope(reader: Reader) -> dict[str, str]:
    value = reader.text("value", required=True, check=_scope_value) or ""
    description = reader.text("description")
    reader.done()
    return {"value": value, **({"description": description} if description else {})}


def _scope_value(value: str) -> str | None:
    """RFC 6749 section 3.3: printable ASCII without space, quotation mark and backslash."""
    good = value.isascii() and value.isprintable() and not set(value) & set(' "\\')
    return None if good else "is not a scope: printable ASCII without space, quotation mark and backslash"


def _grant(reader: Reader) -> ClientGrantEntry:
    grant = ClientGrantEntry(
        path=reader.path,
        client=reader.text("client_id", required=True) or "",
        audience=reader.text("audience", required=True) or "",
        scope=reader.texts("scope", check=_scope_value) or [],
    )
    reader.done()
    return grant


def _person(reader: Reader) -> PersonEntry:
    email = reader.text("email", required=True, check=rules.check_email, longest=254) or ""
    administrator = reader.boolean("administrator")
    person = PersonEntry(
        path=reader.path,
        connection=reader.text("connection", required=True) or "",
        email=email,
        typed=reader.text("username", check=_user_name, longest=255) or email,
        user_id=reader.text("user_id", check=_local_user_id, longest=200),
        password=reader.secret("password"),
        blocked=reader.boolean("blocked"),
        columns=given(
            email_verified=reader.boolean("email_verified"),
            name=reader.text("name", longest=255),
            given_name=reader.text("given_name", longest=150),
            family_name=reader.text("family_name", longest=150),
            nickname=reader.text("nickname", longest=150),
            picture=reader.text("picture", check=uris.check_web_url),
            is_staff=administrator,
            is_superuser=administrator,
            user_metadata=_metadata(reader, "user_metadata"),
            app_metadata=_metadata(reader, "app_metadata"),
        ),
        roles=reader.texts("roles"),
        groups=reader.texts("groups", check=group_name_problem, longest=LONGEST_GROUP),
        applications=reader.texts("applications"),
    )
    reader.done()
    return person


def _metadata(reader: Reader, key: str) -> dict[str, Any] | None:
    value = reader.mapping(key)
    if value is not None and (reason := metadata.problem(value)):
        reader.problem(key, reason)
    return value


def _user_name(value: str) -> str | None:
    if normal_forms.is_longer_than(LONGEST_LOGIN, value):
        return f"is longer than {LONGEST_LOGIN} characters"
    return "has a letter that stands for another one: type it plainly" if normal_forms.has_look_alike(value) else None


def _local_user_id(value: str) -> str | None:
    good = value.isascii() and value.isprintable() and not set(value) & set(" |")
    return None if good else "is the part after auth0|: printable ASCII without space and |"
