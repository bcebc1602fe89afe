"""Rows of an import become people: a batch in a few statements, and in the transaction of whoever calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.db import DataError, IntegrityError, transaction
from django.db.models import Q

from idp.directory import entitlements, own_apis
from idp.models import Connection, Identity, User, new_database_sub
from idp.people import metadata
from idp.protocol.text import normal_forms
from idp.tenants import configuration
from sessions_app.transfer.reading import PREFIX, ImportRow

TAKEN = "The user already exists."
TWICE = "A user with this email, username or user_id was already provided."
UNKEEPABLE = "Something of this user is longer than can be kept."
POWERFUL = "Somebody who may administer is not changed by an import of a program."
_MERGED = ("user_metadata", "app_metadata")


@dataclass(slots=True)
class Written:
    inserted: int = 0
    updated: int = 0

    def add(self, other: Written) -> None:
        self.inserted += other.inserted
        self.updated += other.updated


def write(
    connection: Connection, rows: list[ImportRow], *, upsert: bool, at: datetime, spares_powers: bool = False
) -> Written:
    """People of the rows without errors; errors that the database knows are added to the others.

    `spares_powers`: nobody is changed who may open the administration or whose roles permit something of our own APIs.
    """
    good = _once(rows)
    how = _How(upsert, at, spares_powers)
    try:
        with transaction.atomic():
            return _Batch(connection, good, how).write()
    except (DataError, IntegrityError):  # one of them cannot be kept, or somebody else made one in this moment
        return _one_by_one(connection, good, how)


@dataclass(frozen=True, slots=True)
class _How:
    upsert: bool
    at: datetime
    spares_powers: bool


def _one_by_one(connection: Connection, rows: list[ImportRow], how: _How) -> Written:
    total = Written()
    for row in rows:
        if row.errors:
            continue
        try:
            with transaction.atomic():
                total.add(_Batch(connection, [row], how).write())
        except DataError:  # else the job would be taken up, and fail, for ever
            row.error("FORMAT", UNKEEPABLE)
        except IntegrityError:
            row.error("CONFLICT", TAKEN)
    return total


def _once(rows: list[ImportRow]) -> list[ImportRow]:
    """Rows without errors. Of two that are the same person the first counts."""
    seen: set[tuple[str, str]] = set()
    good = []
    for row in rows:
        names = {("login", row.login), ("email", normal_forms.name(row.email))} | (
            {("sub", row.sub)} if row.sub else set()
        )
        if not row.errors and names & seen:
            row.error("DUPLICATED_USER", TWICE)
        if not row.errors:
            seen |= names
            good.append(row)
    return good


class _Batch:
    def __init__(self, connection: Connection, rows: list[ImportRow], how: _How) -> None:
        self.connection, self.rows, self.at = connection, rows, how.at
        self.upsert, self.spares_powers = how.upsert, how.spares_powers
        emails = {normal_forms.name(row.email) for row in rows}
        subs = {row.sub for row in rows if row.sub}
        known = Identity.objects.filter(connection=connection).filter(
            Q(login__in={row.login for row in rows}) | Q(email__in=emails) | Q(sub__in=subs)
        )
        if self.upsert:  # what is merged must be what is there: nobody else writes these people meanwhile
            people = User.objects.filter(pk__in=known.values("user"))
            list(people.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        self.by_login: dict[str, Identity] = {}
        self.by_email: dict[str, Identity] = {}
        self.by_sub: dict[str, Identity] = {}
        for identity in known.select_related("user"):
            self.by_login[identity.login or ""] = self.by_email[identity.email] = identity
            self.by_sub[identity.sub] = identity
        ids = User.objects.filter(user_id__in=[f"{PREFIX}{sub}" for sub in subs]).values_list("user_id", flat=True)
        self.taken = {user_id.removeprefix(PREFIX) for user_id in ids}

    def write(self) -> Written:
        new, updated = [], 0
        for row in self.rows:
            identity, code = self._known(row)
            if code == "" and identity is None:
                new.append(row)
            elif identity is not None and self.upsert and self._is_spared(identity.user):
                row.error("FORBIDDEN", POWERFUL)
            elif identity is not None and self.upsert:
                self._update(row, identity)
                updated += 1
            else:
                row.error(code, TAKEN)
        self._insert(new)
        return Written(len(new), updated)

    def _is_spared(self, user: User) -> bool:
        if not self.spares_powers or user.has_powers:
            return self.spares_powers
        roles = entitlements.roles_of(user, configuration.current())
        own = own_apis.identifiers()
        return any(one["resource_server_identifier"] in own for role in roles for one in role.permissions)

    def _known(self, row: ImportRow) -> tuple[Identity | None, str]:
        """Whom the row means, and by Auth0's code what of it is taken. A user_id of another connection is nobody's here."""
        if row.sub and (row.sub in self.by_sub or row.sub in self.taken):
            return self.by_sub.get(row.sub), "CONFLICT"
        if identity := self.by_login.get(row.login):
            return identity, "CONFLICT_USERNAME" if row.username else "CONFLICT_EMAIL"
        identity = self.by_email.get(normal_forms.name(row.email))
        if identity is not None and row.username and "@" not in (identity.login or "@"):
            return None, "CONFLICT_EMAIL"  # they sign in by another name: who shares a mailbox is not who is meant
        return identity, "CONFLICT_EMAIL" if identity is not None else ""

    def _insert(self, rows: list[ImportRow]) -> None:
        users, identities, factors = [], [], []
        for row in rows:
            sub = row.sub or new_database_sub()
            user = User(
                user_id=f"{PREFIX}{sub}",
                email=row.email,
                is_active=not row.blocked,
                password=row.password or make_password(None),
                created_at=self.at,
                updated_at=self.at,
                claims={"preferred_username": row.username} if row.username else {},
                **row.columns,
            )
            users.append(user)
            email = normal_forms.name(row.email)
            identities.append(
                Identity(
                    user=user, connection=self.connection, sub=sub, login=row.login, email=email, created_at=self.at
                )
            )
            if row.totp:
                factors.append(_factor(user, row.totp))
        User.objects.bulk_create(users)
        Identity.objects.bulk_create(identities)
        Authenticator.objects.bulk_create(factors)

    def _update(self, row: ImportRow, identity: Identity) -> None:
        """What Auth0 updates, too. A password only of somebody who never signed in, by whichever of their accounts."""
        user = identity.user
        for column, value in row.columns.items():
            is_merged = column in _MERGED
            setattr(user, column, metadata.merged(getattr(user, column), value) if is_merged else value)
        columns = [*row.columns, "updated_at"]
        if row.is_custom_hash and not _ever_came_in(user):
            user.password = row.password
            columns.append("password")
        user.save(update_fields=columns)
        if row.totp and not Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists():
            _factor(user, row.totp).save()


def _ever_came_in(user: User) -> bool:
    return user.last_login is not None or user.identities.exclude(last_login_at=None).exists()


def _factor(user: User, secret: str) -> Authenticator:
    return Authenticator(user=user, type=Authenticator.Type.TOTP, data={"secret": get_adapter().encrypt(secret)})
