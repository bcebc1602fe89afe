"""New accounts of database connections that people make themselves: who may, what is asked of them, and the rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from idp import signals
from idp.connections.database import LONGEST_LOGIN, by_login, hashing_slot, requires_username
from idp.connections.registry import domain_of
from idp.http.requests import RequestFacts
from idp.models import Connection, Identity, Strategy, User, new_database_sub
from idp.protocol.text import normal_forms


class NameTaken(Exception):
    """Somebody of the connection signs in by this name, or has this address."""


def is_open_to_everybody(connection: Connection) -> bool:
    """Where somebody may sign up now."""
    return connection.enabled and has_sign_up(connection)


def has_sign_up(connection: Connection) -> bool:
    """Auth0's switch, also of a connection that is closed. Ours is off unless it is switched on: what an option leaves unsaid lets
    nobody in."""
    return connection.strategy == Strategy.DATABASE and connection.options.get("disable_signup") is False


def open_to(connections: Iterable[Connection], address: str) -> Connection | None:
    """The first connection where somebody with this address may sign up."""
    return next((row for row in connections if is_open_to_everybody(row) and _admits(row, address)), None)


def _admits(connection: Connection, address: str) -> bool:
    domains = connection.options.get("signup_domains") or []
    return not domains or domain_of(address) in {normal_forms.name(str(domain)) for domain in domains}


def account_of(connection: Connection, address: str) -> Identity | None:
    """Who has this address at the connection already, or signs in by it; of several whoever has shown that they read it."""
    found = Identity.objects.filter(connection=connection, email=normal_forms.name(address)).select_related("user")
    return found.order_by("-user__email_verified", "pk").first() or by_login(connection, address)


def user_name_problem(connection: Connection, typed: str) -> str:
    """Why this is no user name of the connection; "" if it may be one. Whether it is taken is found out when it is written."""
    if not normal_forms.name(typed) or "@" in typed or not typed.isprintable():
        return "no-name"
    if normal_forms.is_longer_than(LONGEST_LOGIN, typed):
        return "no-name"
    return "look-alike" if normal_forms.has_look_alike(typed) else ""


@sensitive_variables("password")
def create(
    connection: Connection,
    address: str,
    password: str,
    *,
    name: str = "",
    username: str = "",
    at: datetime,
    facts: RequestFacts | None,
) -> Identity:
    """The account of somebody who has shown that they read this address. Raises NameTaken, and TemporarilyUnavailable."""
    typed = username.strip() if requires_username(connection) else address
    sub = new_database_sub()
    user = User(
        user_id=f"auth0|{sub}",
        email=address,
        email_verified=True,
        name=name,
        created_at=at,
        claims={"preferred_username": typed} if requires_username(connection) else {},
    )
    with hashing_slot():
        user.set_password(password)
    with transaction.atomic():
        Connection.objects.select_for_update(no_key=True).get(
            pk=connection.pk
        )  # of two with one address one comes first
        if account_of(connection, address) is not None or by_login(connection, typed) is not None:
            raise NameTaken
        identity = _rows(user, connection, sub, typed, at)
        signals.signed_up.send(User, user=user, connection=connection, actor="user", at=at, facts=facts)
    return identity


def _rows(user: User, connection: Connection, sub: str, typed: str, at: datetime) -> Identity:
    user.save(force_insert=True)
    identity = Identity(
        user=user,
        connection=connection,
        sub=sub,
        login=normal_forms.name(typed),
        email=normal_forms.name(user.email),
        created_at=at,
    )
    try:
        with transaction.atomic():
            identity.save(force_insert=True)
    except IntegrityError:
        raise NameTaken from None
    return identity
