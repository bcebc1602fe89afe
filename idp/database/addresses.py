"""What DATABASE_URL and DATABASE_REPLICA_URL mean as Django's DATABASES. Read while settings are made: it asks for none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from idp import conf

PRIMARY, STANDBY = "default", "standby"
KEPT = 600  # seconds that a connection is kept


def databases(data: Path) -> dict[str, dict[str, Any]]:
    primary = _primary(environ.Env.db_url_config(conf.read("DATABASE_URL").replace("$CURFEW_DATA", str(data))))
    replica = conf.read("DATABASE_REPLICA_URL")
    return {PRIMARY: primary, **({STANDBY: _standby(replica, primary)} if replica else {})}


def routers() -> list[str]:
    """None, where there is nothing to choose: Django asks them for every statement."""
    return ["idp.database.standby.router.ListsOnly"] if conf.read("DATABASE_REPLICA_URL") else []


def _primary(given: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any]
    if given["ENGINE"] == "django.db.backends.sqlite3":
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
        own = {"ENGINE": "idp.database.sqlite", "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
        return given | own
    own = {"ENGINE": "idp.database.postgresql", "CONN_MAX_AGE": KEPT, "CONN_HEALTH_CHECKS": True}
    options = given.get("OPTIONS", {})
    # For idp/database/prepared.py; Django's own cursors prepare nothing. An address gives "None" as text.
    threshold = options.get("prepare_threshold", 1)
    options = {**options, "prepare_threshold": None if threshold == "None" else threshold}
    return given | own | {"DISABLE_SERVER_SIDE_CURSORS": True, "OPTIONS": options}


def _standby(url: str, primary: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = environ.Env.db_url_config(url)
    if primary["ENGINE"] != "idp.database.postgresql" or given["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "DATABASE_REPLICA_URL is for a standby of PostgreSQL, where DATABASE_URL is its primary."
        )
    options = {**given.get("OPTIONS", {}), "prepare_threshold": None}
    own: dict[str, Any] = {"ENGINE": "idp.database.standby", "CONN_MAX_AGE": KEPT, "DISABLE_SERVER_SIDE_CURSORS": True}
    return given | own | {"OPTIONS": options}
