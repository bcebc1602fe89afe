"""The only way to take lines away: triggers refuse every UPDATE, and every DELETE but that of the purge."""

from __future__ import annotations

from idp.database.permit import Permit

FUNCTION = "curfew_purging"
purging = Permit(setting="curfew.purging", function=FUNCTION)  # lets this thread delete lines; inside a transaction
