"""Whom an operator means by what they typed: one person, or a sentence that says who it may be."""

from __future__ import annotations

from django.db.models import Q

from idp.models import Application, Identity, User
from idp.people import search
from sessions_app.models import SSOSession

MOST = 10


class NotFound(Exception):
    """A sentence: nobody, or several."""


def person(typed: str) -> User:
    """By user id, id at a connection, or the sid of a session; else by the whole address, else by what somebody is called."""
    for rows in (
        User.objects.filter(Q(user_id=typed) | Q(pk__in=Identity.objects.filter(sub=typed).values("user"))),
        User.objects.filter(pk__in=SSOSession.objects.filter(sid=typed).values("user")),
        User.objects.filter(email__iexact=typed),
        User.objects.filter(user_id__in=search.people(typed)),
    ):
        found = list(rows.order_by("email", "pk")[: MOST + 1])
        if len(found) == 1:
            return found[0]
        if found:
            names = "\n".join(f"  {user.user_id}  {user}" for user in found[:MOST])
            raise NotFound(f"{typed} may be several people. Give the user id:\n{names}{_more(len(found))}")
    raise NotFound(f"There is nobody called {typed}.")


def application(typed: str) -> Application:
    found: list[Application] = list(Application.objects.filter(client_id=typed))
    found = found or list(Application.objects.filter(name__iexact=typed))
    if len(found) > 1:
        names = "\n".join(f"  {row.client_id}  {row.name}" for row in found[:MOST])
        raise NotFound(f"Several applications are called {typed}. Give the client id:\n{names}{_more(len(found))}")
    if not found:
        raise NotFound(f"There is no application {typed}.")
    return found[0]


def _more(found: int) -> str:
    return "\n  and others" if found > MOST else ""
