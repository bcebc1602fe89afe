"""Django's router where there is a standby: rows of a list came from there, and whatever is written of them goes to the primary."""

from __future__ import annotations

from typing import Any

from idp.database.addresses import PRIMARY, STANDBY


class ListsOnly:
    """What is read is not routed: it comes from the primary, or from where `reading.rows()` says. What belongs to a row comes from
    where that row came from."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return PRIMARY

    def allow_relation(self, one: Any, another: Any, **hints: Any) -> bool:
        """Both are one database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == STANDBY else None
