"""Everything that is kept about a person, for that person (GDPR article 15): one table of sections, read piece by piece.

No secret is in it, nor its hash, and nothing of others: who of the administrators did something is not said, nor from where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Model, Q, QuerySet

from idp.models import Assignment, Identity, Invitation, MailLink, Membership, ProvisionedUser, User
from logout_app.models import FormerAddress, LogoutDelivery, LogoutEvent, ReceivedSignal, RevocationRequest
from sessions_app.audit import history
from sessions_app.models import (
    Consent,
    DeviceGrant,
    MailRequest,
    RefreshTokenFamily,
    RememberedBrowser,
    SecurityMail,
    SessionClient,
    SSOSession,
)

STEP = 500  # rows that are held at once
MOST = 5000  # rows of a section in an answer of the web server, which keeps the whole of it until it is sent


@dataclass(frozen=True, slots=True)
class Whose:
    """What rows name somebody by."""

    person: User

    @property
    def addresses(self) -> Q:
        """What was sent to an address that is not proved to be theirs is about whoever reads it."""
        proved = self.person.email and self.person.email_verified
        return Q(address__iexact=self.person.email) if proved else Q(pk=None)


Told = dict[str, Any]


def _as_it_is(told: Told) -> Told:
    return told


@dataclass(frozen=True, slots=True)
class DataSection:
    """`fields` are columns, or ways to one by `__`; a row's member is called by the last two parts of it. `without_others` takes out
    of what is told whatever is somebody else's."""

    name: str
    rows: Callable[[Whose], QuerySet[Any]]
    fields: tuple[str, ...]
    without_others: Callable[[Told], Told] = _as_it_is


def _of(model: type[Model], by: str = "user") -> Callable[[Whose], QuerySet[Any]]:
    def rows(whose: Whose) -> QuerySet[Any]:
        found: QuerySet[Any] = model._default_manager.filter(**{by: whose.person})
        return found

    return rows


def _about(model: type[Model]) -> Callable[[Whose], QuerySet[Any]]:
    """Rows that outlive the person, and so name the user id."""

    def rows(whose: Whose) -> QuerySet[Any]:
        found: QuerySet[Any] = model._default_manager.filter(sub=whose.person.user_id)
        return found

    return rows


def _without_others_request(told: Told) -> Told:
    """`admin:…`, `operator:…`, `app:…`: the address and browser of a line are theirs, only what became of it is not."""
    actor = str(told.pop("actor"))
    return told | {"ip": None, "user_agent": ""} if ":" in actor else told


def _without_actor(told: Told) -> Told:
    return told | {"data": {name: value for name, value in told["data"].items() if name != "actor"}}


FROM = ("initial_ip", "initial_user_agent", "last_ip", "last_user_agent")
SECTIONS = (
    DataSection(
        "accounts",
        _of(Identity),
        ("connection__name", "sub", "login", "email", "profile", "created_at", "last_login_at"),
    ),
    DataSection("factors", _of(Authenticator), ("type", "created_at", "last_used_at")),
    DataSection("groups", _of(Membership), ("group__name", "source", "since")),
    DataSection("assigned_applications", _of(Assignment), ("application__name", "since")),
    DataSection(
        "provisioned",
        lambda whose: ProvisionedUser.objects.filter(Q(identity__user=whose.person) | Q(sub=whose.person.user_id)),
        (
            "connection__name",
            "user_name",
            "external_id",
            "resource",
            "active",
            "created_at",
            "modified_at",
            "deleted_at",
        ),
    ),
    DataSection(
        "sessions",
        _of(SSOSession),
        (
            *("sid", "connection__name", "created_at", "auth_time", "amr", "last_seen_at", "expires_at", *FROM),
            *("metadata", "ended_at", "end_initiator"),
        ),
    ),
    DataSection(
        "applications_of_sessions",
        _of(SessionClient, "session__user"),
        ("session__sid", "application__name", "joined_at"),
    ),
    DataSection(
        "offline_access_and_refresh_tokens",
        _of(RefreshTokenFamily),
        (
            *(
                "application__name",
                "offline",
                "scope",
                "audience",
                "created_at",
                "last_exchanged_at",
                "expires_at",
                *FROM,
            ),
            *("metadata", "revoked_at", "revoke_reason"),
        ),
    ),
    DataSection(
        "devices_that_asked", _of(DeviceGrant), ("application__name", "scope", "status", "approved_at", "expires")
    ),
    DataSection("consents", _of(Consent), ("application__name", "scopes", "granted_at")),
    DataSection("remembered_browsers", _of(RememberedBrowser), ("created_at", "expires_at", "ip", "user_agent")),
    DataSection("former_addresses", _about(FormerAddress), ("address", "until")),
    DataSection(
        "invitations",
        lambda whose: Invitation.objects.filter(Q(accepted_by=whose.person) | whose.addresses),
        ("address", "name", "connection__name", "invited_at", "expires_at", "accepted_at", "withdrawn_at"),
    ),
    DataSection(
        "links_by_mail", _of(MailLink), ("kind", "address", "language", "asked_at", "expires_at", "sent_at", "used_at")
    ),
    DataSection("mails_that_were_asked_for", _of(MailRequest), ("kind", "address", "language", "requested_at")),
    DataSection(
        "security_mails",
        _of(SecurityMail),
        ("kind", "address", "happened_at", "data", "outcome", "done_at"),
        _without_actor,
    ),
    DataSection("sign_outs", _about(LogoutEvent), ("at", "initiator", "sessions_ended", "families_revoked")),
    DataSection(
        "told_to_applications",
        _about(LogoutDelivery),
        ("client_id", "sid", "channel", "state", "created_at", "attempts", "last_reason", "finished_at"),
    ),
    DataSection(
        "asked_by_identity_providers", _about(RevocationRequest), ("connection__name", "at", "status", "subject")
    ),
    DataSection(
        "signals_of_identity_providers",
        _about(ReceivedSignal),
        ("connection__name", "at", "type", "effect", "subject", "sessions"),
    ),
    DataSection(
        "audit_trail",
        lambda whose: history.naming(whose.person.user_id),
        ("at", "type", "sid", "client_id", "connection", "initiator", "actor", "ip", "user_agent", "data"),
        _without_others_request,
    ),
)
PROFILE = (
    *("user_id", "email", "email_verified", "name", "given_name", "family_name", "nickname", "picture", "phone_number"),
    *("phone_number_verified", "claims", "user_metadata", "app_metadata", "language", "is_active", "is_staff"),
    *("last_login", "created_at", "updated_at"),
)


def document(person: User, at: datetime, most: int | None = None) -> Iterator[str]:
    """One JSON document, in pieces, the newest of each section first. `most`: rows of a section; `shortened` names those that have more."""
    profile, shortened = {name: getattr(person, name) for name in PROFILE}, []
    yield f'{{"made_at": {_json(at)},\n"profile": {_json(profile)}'
    for section in SECTIONS:
        yield f',\n"{section.name}": ['
        for count, told in enumerate(_rows(section, Whose(person), most)):
            if count == most:
                shortened.append(section.name)
                break
            yield f"{',' if count else ''}\n  {_json(told)}"
        yield "]"
    yield f',\n"shortened": {_json(shortened)}\n}}\n'


def _rows(section: DataSection, whose: Whose, most: int | None) -> Iterator[Told]:
    """One more than the most, if there is one."""
    names = ["_".join(field.split("__")[-2:]).removesuffix("_name") for field in section.fields]
    rows = section.rows(whose).order_by("-pk").values_list(*section.fields)
    for row in rows[: None if most is None else most + 1].iterator(chunk_size=STEP):
        yield section.without_others(dict(zip(names, row, strict=True)))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)
