"""The people of one connection as SCIM resources: read, searched, written. Every write is one transaction of the caller's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from scim2_models import (
    Meta,
    NotFoundException,
    PreconditionFailedException,
    ScimFilter,
    UniquenessException,
    User,
)

from idp.database.lookups import Given, Lookup
from idp.models import Identity, Membership, ProvisionedUser, SignInBy, Source, new_database_sub
from idp.models import User as Person
from idp.people import accounts
from idp.protocol.text import normal_forms
from idp.scim import mapping, standing
from idp.scim.context import Writer
from idp.scim.filters import Condition, Conditions, exact, moment, named, truth, within
from idp.scim.resources import UserModel

ID = re.compile(r"[0-9a-f]{24}", re.ASCII)
UNCLAIMED = "scim:"  # begins the sub of an account whose upstream sub is not known before the first sign-in
# As standing.lock_people locks several; the row itself is read when nobody else writes it any more.
_LOCKED_PERSON = Lookup(
    lambda: Person.objects.filter(
        identities__provisioned__connection=Given("connection"), identities__provisioned__public_id=Given("key")
    ).select_for_update(no_key=True, of=("self",))
)
_ROW = Lookup(
    lambda: ProvisionedUser.objects.select_related("identity__user").filter(
        connection=Given("connection"), public_id=Given("key"), deleted_at=None
    )
)
COLUMNS = {
    "id": exact("public_id"),
    "username": named("user_name_key"),
    "externalid": exact("external_id"),
    "active": truth("active"),
    "emails.value": within("email_keys", normal_forms.name),
    "meta.created": moment("created_at"),
    "meta.lastmodified": moment("modified_at"),
}


class Users:
    name = "User"

    def __init__(self, writer: Writer) -> None:
        self.writer, self.connection = writer, writer.connection
        self._held: dict[str, ProvisionedUser] = {}  # locked in this transaction
        self._member_of: dict[int, list[dict[str, str]]] = {}  # of those; writing a person changes no membership

    def forget(self) -> None:
        """A new transaction begins."""
        self._held.clear()
        self._member_of.clear()

    # --- reading -----------------------------------------------------------------------------------------------------

    def rows(self) -> QuerySet[ProvisionedUser]:
        return ProvisionedUser.objects.filter(connection=self.connection, deleted_at=None).order_by("pk")

    @staticmethod
    def condition(found: ScimFilter[Any]) -> Condition:
        return Conditions(COLUMNS, found).visit(found.ast)

    def get(self, public_id: str, *, lock: bool = False) -> User[Any]:
        row = self._row(public_id, lock=lock)
        return self._locked(row) if lock else self.resources([row])[0]

    def _locked(self, row: ProvisionedUser) -> User[Any]:
        if row.pk not in self._member_of:
            self._member_of[row.pk] = self._groups([row.identity_id or 0]).get(row.identity_id, [])
        return resource(row, self._member_of[row.pk])

    def resources(self, rows: Sequence[ProvisionedUser], members: bool = True) -> list[User[Any]]:
        """With the groups that each is in: one statement for all of them."""
        groups = self._groups([row.identity_id for row in rows if row.identity_id])
        return [resource(row, groups.get(row.identity_id, ())) for row in rows]

    def _groups(self, identities: list[int]) -> dict[int | None, list[dict[str, str]]]:
        found: dict[int | None, list[dict[str, str]]] = {}
        rows = Membership.objects.filter(identity__in=identities, source=Source.SCIM, group__provisioned__isnull=False)
        for identity, key, name in rows.values_list("identity", "group__provisioned__public_id", "group__name"):
            found.setdefault(identity, []).append(
                {"value": key, "$ref": f"Groups/{key}", "display": name, "type": "direct"}
            )
        return found

    def _row(self, public_id: str, *, lock: bool = False) -> ProvisionedUser:
        if lock and public_id in self._held:
            return self._held[public_id]
        row = None
        named: dict[str, str | int] = {"connection": self.connection.pk, "key": public_id}
        if ID.fullmatch(public_id):
            if lock:
                _LOCKED_PERSON.get(**named)
            row = _ROW.get(**named)
        if row is None:
            raise NotFoundException(detail="There is no such person in this connection.")
        if lock and row.identity:
            row.identity.connection = self.connection
            self._held[public_id] = row
        return row

    # --- writing -----------------------------------------------------------------------------------------------------

    def create(self, user: User[Any]) -> User[Any]:
        row = ProvisionedUser(connection=self.connection, created_at=self.writer.at)
        if user.active is None:
            user.active = True
        written = self._fill(row, user)
        if self.rows().filter(user_name_key=row.user_name_key).exists():
            raise UniquenessException(detail=f"Somebody has the userName {row.user_name} already.")
        row.identity = self._account(row)
        if is_new := row.identity is None:
            row.identity = self._new_account(row, written)
        else:
            self._write_person(row, written)
        with _one_writer():
            row.save(force_insert=True)
        if is_new:
            self._member_of[row.pk] = []
        standing.tell(self.writer, "created", row.identity.user, id=row.public_id)
        standing.settle([row], self.writer)
        return self._locked(row)

    def update(self, user: User[Any], expected: str | None) -> User[Any]:
        row = self._row(str(user.id), lock=True)
        if expected is not None and expected != version(row):
            raise PreconditionFailedException
        assert row.identity is not None  # noqa: S101  only deleted rows have none
        before, was = (row.user_name_key, row.external_id), _facts(row)
        written = self._fill(row, user)
        if before[0] != row.user_name_key and self._name_is_taken(row):
            raise UniquenessException(detail=f"Somebody has the userName {row.user_name} already.")
        self._follow(row, row.identity, *before)
        self._write_person(row, written)
        row.version, row.modified_at = row.version + 1, self.writer.at
        with _one_writer():
            row.save(force_update=True)
        now = _facts(row)
        changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
        standing.tell(self.writer, "changed", row.identity.user, id=row.public_id, attributes=changed)
        standing.settle([row], self.writer)
        return self._locked(row)

    def delete(self, public_id: str, expected: str | None) -> None:
        """The end of everything, then of the person; of one who has other accounts too, of this account only."""
        row = self._row(public_id, lock=True)
        if expected is not None and expected != version(row):
            raise PreconditionFailedException
        identity = row.identity
        assert identity is not None  # noqa: S101  only deleted rows have none
        user = identity.user
        standing.keep_out(row, standing.DELETED, self.writer)
        ProvisionedUser.objects.filter(pk=row.pk).update(
            identity=None,
            sub=identity.sub if row.is_claimed else "",
            deleted_at=self.writer.at,
            is_blocked=False,
            resource={},
            email_keys="",
        )
        standing.tell(self.writer, "deleted", user, id=row.public_id)
        if user.identities.exclude(pk=identity.pk).exists():
            self._leave(row, identity, user)
        else:
            accounts.delete_user(user, actor=self.writer.actor, at=self.writer.at)

    def _leave(self, row: ProvisionedUser, identity: Identity, user: Person) -> None:
        identity.delete()
        if row.is_blocked and not ProvisionedUser.objects.filter(identity__user=user, is_blocked=True).exists():
            Person.objects.filter(pk=user.pk).update(is_active=True)
            standing.tell(self.writer, "reactivated", user, id=row.public_id)

    def _fill(self, row: ProvisionedUser, user: User[Any]) -> dict[str, str]:
        row.user_name = mapping.user_name(user)
        row.user_name_key = normal_forms.name(row.user_name)
        row.external_id = mapping.external_id(user)
        if user.active is not None:  # what is left out or taken away lets nobody in who was out
            row.active = user.active
        row.resource, row.email_keys = mapping.kept(user), mapping.email_keys(user)
        row.modified_at = self.writer.at
        return mapping.columns(user, self.connection.strategy)

    def _name_is_taken(self, row: ProvisionedUser) -> bool:
        return self.rows().filter(user_name_key=row.user_name_key).exclude(pk=row.pk).exists()

    # --- the account that signs in -----------------------------------------------------------------------------------

    def _by_external_id(self) -> bool:
        return self.writer.provisioning.sign_in_by == SignInBy.EXTERNAL_ID

    def _account(self, row: ProvisionedUser) -> Identity | None:
        """The account that somebody came by before they were provisioned, if it is certain that it is theirs."""
        sub = row.external_id if self._by_external_id() else row.user_name
        if not sub:
            return None
        accounts = Identity.objects.select_related("user").select_for_update(no_key=True, of=("user",))
        found = accounts.filter(connection=self.connection, sub=sub).first()
        if found is None:
            return None
        if ProvisionedUser.objects.filter(identity=found).exists():
            raise UniquenessException(detail="Another person of this connection signs in by this id.")
        found.connection, row.is_claimed = self.connection, True
        return found

    def _new_account(self, row: ProvisionedUser, values: dict[str, str]) -> Identity:
        """With the upstream's own id if it is known; else it is learned when the person first signs in."""
        row.is_claimed = self._by_external_id() and bool(row.external_id)
        sub = row.external_id if row.is_claimed else f"{UNCLAIMED}{row.public_id}"
        person = Person(user_id=self._user_id(row, sub), created_at=self.writer.at, **values)
        person.email_verified = self.writer.trusted_email and bool(values["email"])
        person.set_unusable_password()
        person.save(force_insert=True)
        identity = Identity(user=person, connection=self.connection, sub=sub, created_at=self.writer.at)
        identity.email = normal_forms.name(values["email"])[:254]
        with _one_writer():
            identity.save(force_insert=True)
        return identity

    def _user_id(self, row: ProvisionedUser, sub: str) -> str:
        """Ours for good, whatever they sign in by later: never one that another person has."""
        user_id = self.connection.user_id_of(sub)
        fits = row.is_claimed and len(user_id) <= mapping.LONGEST_NAME
        if fits and not Person.objects.filter(user_id=user_id).exists():
            return user_id
        return self.connection.user_id_of(new_database_sub())

    def _follow(self, row: ProvisionedUser, identity: Identity, name: str, external_id: str) -> None:
        """What the person signs in by has another value: the account is found by the new one, and not by the old one."""
        sub = identity.sub
        if self._by_external_id():
            if row.external_id != external_id and row.external_id:
                sub, row.is_claimed = row.external_id, True
        elif row.user_name_key != name and normal_forms.name(identity.sub) == name:
            sub, row.is_claimed = f"{UNCLAIMED}{row.public_id}", False
        if sub != identity.sub:
            taken = Identity.objects.filter(connection=self.connection, sub=sub).exclude(pk=identity.pk)
            if taken.exists():
                raise UniquenessException(detail="Another person of this connection signs in by this id.")
            Identity.objects.filter(pk=identity.pk).update(sub=sub)
            identity.sub = sub

    def _write_person(self, row: ProvisionedUser, values: dict[str, str]) -> None:
        """Of a person whose main account is another one the account only."""
        identity = row.identity
        assert identity is not None  # noqa: S101  the callers have one
        address = normal_forms.name(values["email"])
        if identity.email != address:
            Identity.objects.filter(pk=identity.pk).update(email=address[:254])
            identity.email = address[:254]
        person, new = identity.user, dict[str, Any](values)
        if person.email != values["email"]:
            new["email_verified"] = self.writer.trusted_email and bool(values["email"])
        changed = {name: value for name, value in new.items() if getattr(person, name) != value}
        if changed and not person.identities.exclude(pk=identity.pk).exists():
            Person.objects.filter(pk=person.pk).update(**changed, updated_at=self.writer.at)
            for column, value in changed.items():
                setattr(person, column, value)


@contextmanager
def _one_writer() -> Iterator[None]:
    """Two requests that write the same at once: one is told so, and its transaction is rolled back."""
    try:
        yield
    except IntegrityError as error:
        raise UniquenessException(detail="Another person was written with the same name or id.") from error


def version(row: ProvisionedUser) -> str:
    return f'W/"{row.version}"'


def resource(row: ProvisionedUser, groups: Iterable[dict[str, str]] = ()) -> User[Any]:
    said = dict(row.resource) | {"userName": row.user_name, "id": row.public_id}
    if "active" in said:  # a source may take the word away, and changes nothing by that
        said["active"] = row.active
    if row.external_id:
        said["externalId"] = row.external_id
    if found := list(groups):
        said["groups"] = found
    user: User[Any] = UserModel.model_validate({"schemas": _schemas(said), **said})
    user.meta = Meta(resource_type="User", created=row.created_at, last_modified=row.modified_at, version=version(row))
    return user


def _schemas(said: dict[str, Any]) -> list[str]:
    return [str(User.__schema__), *(name for name in said if name.startswith("urn:"))]


def _facts(row: ProvisionedUser) -> dict[str, Any]:
    return {**row.resource, "userName": row.user_name, "externalId": row.external_id, "active": row.active}
