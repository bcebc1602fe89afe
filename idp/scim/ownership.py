"""Which source owns a person: what it says of them is changed there and nowhere else."""

from __future__ import annotations

from idp.models import ProvisionedUser, User

# What the source says of a person, and nobody changes here.
COLUMNS = ("email", "name", "given_name", "family_name", "nickname", "picture", "phone_number")
OWNED = (*COLUMNS, "email_verified")


def owner(user: User) -> ProvisionedUser | None:
    """The row by which a source keeps the person up to date; None: they are ours. Whoever has other accounts too is ours."""
    rows = ProvisionedUser.objects.select_related("connection").filter(
        identity__user=user, deleted_at=None, connection__provisioning__enabled=True
    )
    found = rows.first()
    return found if found and user.identities.count() == 1 else None


def holder(user: User) -> ProvisionedUser | None:
    """The row by which a source keeps the person out."""
    held = ProvisionedUser.objects.select_related("connection")
    return held.filter(identity__user=user, is_blocked=True, connection__provisioning__enabled=True).first()


def why_fixed(row: ProvisionedUser) -> str:
    return (
        f"{row.connection} provisions this person (SCIM): change names and addresses there. "
        "What is changed here would be gone at its next write."
    )


def why_out(row: ProvisionedUser) -> str:
    return f"{row.connection} keeps this person out: activate them there, and they may sign in here again."
