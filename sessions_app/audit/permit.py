"""The only way to take lines away: triggers refuse every UPDATE, and every DELETE but that of the purge."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from django.db.models import Model

from idp.database.permit import Permit
from sessions_app.models import SessionEvent

FUNCTION = "curfew_purging"
purging = Permit(setting="curfew.purging", function=FUNCTION)  # lets this thread delete lines; inside a transaction


def to_purge(model: type[Model]) -> AbstractContextManager[None]:
    """What the purge needs around its deletion of such rows."""
    return purging() if model is SessionEvent else nullcontext()
