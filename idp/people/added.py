"""Somebody whom a program adds to a database connection: what the rules have against it, and the act. What people do
themselves is `newcomers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from idp.connections.database import LONGEST_LOGIN, by_login, hashing_slot, requires_username
from idp.models import Connection, Identity, Strategy, User, new_database_sub
from idp.people import password_policy
from idp.protocol.text import normal_forms


class AlreadyThere(Exception):
    """Somebody signs in with this name, or has this id, already."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`sub`: the part of the user id after `auth0|`, made where it is empty. `columns`: further ones of the person.

    `password` None: they set one by a mail before they sign in.
    """

    connection: Connection
    email: str
    username: str = ""
    password: str | None = None
    sub: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def typed(self) -> str:
        """What they sign in with."""
        return self.username if requires_username(self.connection) else self.email

    @property
    def login(self) -> str:
        return normal_forms.name(self.typed)


def problems(new: Newcomer) -> Iterator[tuple[str, str]]:
    """(field, sentence) of everything that the rules have against them."""
    if new.connection.strategy != Strategy.DATABASE:
        yield "connection", f"people of {new.connection.name} come from there when they sign in"
        return
    if requires_username(new.connection):
        if not new.login or "@" in new.login:
            yield "username", f"is missing, or has an @: people of {new.connection.name} sign in with it"
        elif normal_forms.is_longer_than(LONGEST_LOGIN, new.username):
            yield "username", f"is longer than {LONGEST_LOGIN} characters"
        elif normal_forms.has_look_alike(new.username):
            yield "username", "has a letter that stands for another one: type it plainly"
    if new.password is not None:
        person = User(email=new.email, **new.columns)
        policy = password_policy.policy_of(new.connection)
        yield from (("password", sentence) for sentence in password_policy.problems(new.password, policy, person))


def create(new: Newcomer, *, at: datetime) -> User:
    """Raises AlreadyThere, and TemporarilyUnavailable while too many passwords are hashed. Ask `problems` first."""
    if by_login(new.connection, new.typed) is not None:
        raise AlreadyThere
    sub = new.sub or new_database_sub()
    user = User(user_id=f"auth0|{sub}", email=new.email, created_at=at, **new.columns)
    if new.username:
        user.claims = {**user.claims, "preferred_username": new.username.strip()}
    with hashing_slot():
        user.set_password(new.password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            Identity.objects.create(
                user=user,
                connection=new.connection,
                sub=sub,
                login=new.login,
                email=normal_forms.name(new.email),
                created_at=at,
            )
    except IntegrityError:
        raise AlreadyThere from None
    return user
