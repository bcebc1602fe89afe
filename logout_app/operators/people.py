"""Whom an operator means by what they typed: one person, or a sentence that says who it may be."""

from __future__ import annotations

from django.db.models import Q

from idp.models import Application, Identity, User
from idp.operations.terminal import plain
from idp.people import search
from idp.protocol.text import normal_forms
from sessions_app.models import SSOSession

MOST = 10


class NotFound(Exception):
    """A sentence: nobody, or several."""


def person(typed: str) -> User:
    """By user id; else by id at a connection, the sid of a session or the whole address; else by what somebody is called.

    An identity provider may send the address as the id: whoever has the same address otherwise may be meant as well.
    """
    accounts = Identity.objects.filter(Q(sub=typed) | Q(email=normal_forms.name(typed)))
    exactly = Q(pk__in=accounts.values("user")) | Q(email__iexact=typed)
    for rows in (
        User.objects.filter(user_id=typed),
        User.objects.filter(exactly | Q(pk__in=SSOSession.objects.filter(sid=typed).values("user"))),
        User.objects.filter(user_id__in=search.people(typed)),
    ):
        found = list(rows.order_by("email", "pk")[: MOST + 1])
        if len(found) == 1:
            return found[0]
        if found:
            names = "\n".join(f"  {plain(user.user_id)}  {plain(user)}" for user in found[:MOST])
            raise NotFound(f"{typed} may be several people. Give the user id:\n{names}{_more(len(found))}")
    raise NotFound(f"There is nobody called {typed}.")


def application(typed: str) -> Application:
    found: list[Application] = list(Application.objects.filter(client_id=typed))
    found = found or list(Application.objects.filter(name__iexact=typed))
    if len(found) > 1:
        names = "\n".join(f"  {row.client_id}  {plain(row.name)}" for row in found[:MOST])
        raise NotFound(f"Several applications are called {typed}. Give the client id:\n{names}{_more(len(found))}")
    if not found:
        raise NotFound(f"There is no application {typed}.")
    return found[0]


def _more(found: int) -> str:
    return "\n  and others" if found > MOST else ""
