"""Who cannot sign in at the moment because somebody tried too many passwords: seen, and let in again.

An administrator's block is another thing: `blocked` of a person.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from idp.models import Connection, Identity, User
from idp.protocol.text import normal_forms
from logout_app.api.frame.errors import invalid_query
from logout_app.api.frame.operations import Call, Operation
from logout_app.api.people import found
from sessions_app.signin import attempts

MOST = 50  # accounts with one address
# Auth0's switch for what an organisation's network would ask; every block is answered here.
QUERY = ("consider_brute_force_enablement",)


def of_user(call: Call, user_id: str) -> Any:
    return _answer(call, Identity.objects.filter(user=found.pk_of(user_id)))


def of_identifier(call: Call) -> Any:
    return _answer(call, _named(call))


def lift_of_user(call: Call, user_id: str) -> None:
    user = found.person(user_id)
    found.refuse_with_powers(call, user)
    attempts.let_in_again(Identity.objects.filter(user=user.pk))


def lift_of_identifier(call: Call) -> None:
    """An unknown one is no error: nobody learns here which accounts there are."""
    rows = _named(call)
    for user in User.objects.filter(pk__in=rows.values("user")):
        found.refuse_with_powers(call, user)
    attempts.let_in_again(rows)


def _answer(call: Call, rows: QuerySet[Identity]) -> dict[str, Any]:
    """Auth0 also says from which address; passwords are counted here for an account, from wherever they come."""
    call.query.boolean("consider_brute_force_enablement")
    locked = attempts.locked_out(rows[:MOST], call.at)
    return {"blocked_for": [{"identifier": row.login, "connection": row.connection.name} for row in locked]}


def _named(call: Call) -> QuerySet[Identity]:
    """By user name or address, as somebody would type it."""
    identifier = call.query.text("identifier").strip()
    if not identifier:
        raise invalid_query("Missing required 'identifier' parameter.")
    name = normal_forms.name(identifier)
    rows = Identity.objects.filter(connection__in=list(Connection.objects.values_list("pk", flat=True)))  # the index
    return rows.filter(Q(login=name) | Q(email=name)).exclude(login=None).order_by("pk")


OPERATIONS = (
    Operation("GET", "user-blocks", ["read:users"], of_identifier,
              "Accounts of `identifier` (user name or address) at which too many passwords were tried.",
              query=("identifier", *QUERY)),
    Operation("DELETE", "user-blocks", ["update:users"], lift_of_identifier,
              "Let them be tried again.", 204, query=("identifier",)),
    Operation("GET", "user-blocks/<str:user_id>", ["read:users"], of_user, "The same of one person.", query=QUERY),
    Operation("DELETE", "user-blocks/<str:user_id>", ["update:users"], lift_of_user, "Let them be tried again.", 204),
)  # fmt: skip
