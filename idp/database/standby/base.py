"""Django's PostgreSQL backend for a server that is read from: what is set on a connection refuses writes also there where a standby
became a primary meanwhile.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from idp.database.postgresql.base import session_settings, waits
from idp.database.standby import driver


class DatabaseWrapper(base.DatabaseWrapper):
    Database = driver

    def get_connection_params(self) -> dict[str, Any]:
        return waits() | super().get_connection_params()

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if not settings.DATABASE_SESSION_SETTINGS:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET default_transaction_read_only = on; {session_settings()}")
