"""Whether database and Redis take writes (a read tells nothing about that) and whether lists may come from the standby, asked once
a second at most by each process.
"""

from __future__ import annotations

from time import time

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from idp.database import dialect
from idp.database.standby import watch
from idp.processes.probe import Probe
from idp.redis import health as redis_health
from logout_app.delivery import tallies

METRIC = "probe"  # a row of its own, which no act writes
READ_ONLY = "25006"
LOCKED = "55P03"  # the table is: who holds it, an index that is being made, says nothing about other tables
log = structlog.get_logger(__name__)


def _write_failure() -> str:
    try:
        _write(time())
    except DatabaseError as error:
        if _sqlstate(error) == LOCKED:
            return ""
        log.warning("readyz.failed", check="database write", error=repr(error))
        connection.close()  # what is wrong may be wrong with this connection only
        return "read-only" if _is_read_only(error) else "takes no writes"
    return ""


def _write(now: float) -> None:
    """Somebody who holds the row is a writer: then there is nothing to wait for."""
    skip = dialect.lock("FOR UPDATE SKIP LOCKED")
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {tallies.TABLE} SET value = %s WHERE id = ("  # noqa: S608  constants only
            f"SELECT id FROM {tallies.TABLE} WHERE metric = %s AND label = ''{skip})",
            [now, METRIC],
        )
        if not cursor.rowcount:
            cursor.execute(
                f"INSERT INTO {tallies.TABLE} (metric, label, value) VALUES (%s, '', %s) ON CONFLICT DO NOTHING",  # noqa: S608
                [METRIC, now],
            )


def _is_read_only(error: DatabaseError) -> bool:
    return _sqlstate(error) == READ_ONLY or "readonly" in str(error)


def _sqlstate(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


database = Probe(_write_failure)
standby = Probe(lambda: watch.look().problem if watch.is_configured() else "")
redis = Probe(lambda: redis_health.write_failure() if settings.REDIS_URL else "")
