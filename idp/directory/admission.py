"""Who may use an application. Whoever is not known to may, may not."""

from __future__ import annotations

from idp.directory import entitlements
from idp.models import AccessMode, Application, User
from idp.tenants.configuration import Snapshot


def is_admitted(application: Application, user: User, snapshot: Snapshot) -> bool:
    """No statement for an application that is for everybody, one for the person else."""
    if application.access_mode == AccessMode.EVERYONE:
        return True
    if application.access_mode == AccessMode.ASSIGNED:
        return application.pk in entitlements.of(user).assigned
    if application.access_mode == AccessMode.GROUPS:
        return bool(entitlements.assigned_groups(user, application, snapshot))
    return False
