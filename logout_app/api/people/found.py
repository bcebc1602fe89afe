"""Whom a path names, and who may be changed here."""

from __future__ import annotations

from idp.directory import entitlements
from idp.models import User
from idp.tenants import configuration
from logout_app.api.frame import delegation
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import Call
from logout_app.api.people.shape import people


def person(user_id: str, *, locked: bool = False) -> User:
    """Raises ApiError 404. `locked`: nobody else changes the row until the transaction ends, so that what is merged into
    what was read takes nothing of somebody else's away."""
    rows = people().select_for_update(no_key=True, of=("self",)) if locked else people()
    row = rows.filter(user_id=user_id).first()
    if row is None:
        raise not_found("user")
    return row


def pk_of(user_id: str) -> int:
    found = User.objects.filter(user_id=user_id).values_list("pk", flat=True).first()
    if found is None:
        raise not_found("user")
    return found


def refuse_with_powers(call: Call, user: User) -> None:
    """A new password, address or account would lend their powers to whoever holds a token: those of the admin, which asks
    for a proof, and permissions of this API that the caller does not have."""
    if user.has_powers:
        message = "People who may open the administration are changed there. Sessions and blocks are possible here."
        raise ApiError(403, message, "operation_not_supported")
    for role in entitlements.roles_of(user, configuration.current()):
        delegation.refuse_permissions_beyond(call, role.permissions)
