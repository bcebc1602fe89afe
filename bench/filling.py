"""Large sets of rows by SQL: an empty database of their own to begin with, statements in bounded steps, keys that go on behind them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
CALLBACK = "http://127.0.0.1:9/cb"
APPLICATIONS = 20
CLIENTS = [{"client_id": f"app-{number}", "client_secret": f"secret-{number:024}"} for number in range(APPLICATIONS)]
PASSWORD = "correct-horse-9"
STEP = 200_000  # numbers, of one statement


@dataclass(frozen=True, slots=True)
class Rows:
    """`sql` makes rows of the numbers {first} to {last}; `of` names how many numbers there are. Without: one statement."""

    sql: str
    of: str = ""


# Everybody comes by the one connection; keys follow time, a year evenly.
PEOPLE = (
    Rows(
        """
INSERT INTO idp_user (id, is_superuser, password, user_id, email, email_verified, name, given_name, family_name, nickname, picture,
    phone_number, phone_number_verified, claims, user_metadata, app_metadata, language, is_active, is_staff, created_at, updated_at)
SELECT n, false, '{password}', 'auth0|' || lpad(to_hex(n), 24, '0'), 'person' || n || '@Bench.example', n % 3 > 0, 'Person ' || n,
    'Given' || n % 500, 'Family' || n % 5000, 'p' || n, '', '', false, '{{}}', '{{"plan": "gold"}}', '{{}}', '', n % 50 > 0, false,
    now() - interval '1 year' * (1 - n::float / {people}), now() - interval '1 day' * (n % 300)
FROM generate_series({first}, {last}) n""",
        "people",
    ),
    Rows(
        """
INSERT INTO idp_identity (id, user_id, connection_id, sub, login, email, profile, groups_digest, created_at)
SELECT id, id, (SELECT min(id) FROM idp_connection), split_part(user_id, '|', 2), lower(email), lower(email), '{{}}', '', created_at
FROM idp_user WHERE id BETWEEN {first} AND {last}""",
        "people",
    ),
)


def prepare(database: str) -> None:
    """Django, with a database of that name unless DATABASE_URL says another."""
    defaults = {
        "DATABASE_URL": f"postgres://bench@127.0.0.1:54329/{database}",
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "ISSUER": "http://127.0.0.1:18351/",
        "PORT": "18351",
        "SECRET_KEY": "what is sealed in a database of the bench is opened by each of its programs",
        "CURFEW_DATA": str(Path(tempfile.gettempdir()) / "curfew-bench"),
        "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8",
        "CURFEW_LOG_LEVEL": "WARNING",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    sys.path.insert(0, str(PROJECT))
    import django

    django.setup()


def empty_database() -> None:
    from django.core.management import call_command

    from bench import seed

    seed.make_database()
    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False)


def configure(**tenant: Any) -> None:
    """One connection and twenty applications."""
    from bench import seed
    from idp.crypto import keys
    from idp.models import TenantSettings

    TenantSettings.objects.create(pk=1, friendly_name="Bench", **tenant)
    keys.ensure()
    seed.make_connection()
    for client in CLIENTS:
        uris = {"redirect_uris": [CALLBACK], "backchannel_logout_uri": "http://127.0.0.1:9/logout"}
        seed.seed_application({**client, **uris}, CALLBACK)


def write(rows: Iterable[Rows], given: Mapping[str, Any], step: int = STEP) -> None:
    """`given`: what the statements have in braces."""
    from django.contrib.auth.hashers import make_password
    from django.db import connection

    given = {"password": make_password(PASSWORD), "applications": APPLICATIONS, **given}
    with connection.cursor() as cursor:
        for each in rows:
            for first, last in steps(given[each.of] if each.of else 1, step if each.of else 1):
                cursor.execute(each.sql.format(**given, first=first, last=last))


def steps(count: int, step: int) -> Iterator[tuple[int, int]]:
    for first in range(1, count + 1, step):
        yield first, min(first + step - 1, count)


@contextmanager
def unasked(tables: Iterable[str]) -> Iterator[None]:
    """Foreign keys are not asked and triggers do not run; indexes that hold nothing together are made again at the end: millions of
    rows one by one would take hours. A run that is killed leaves a database without them, to be dropped.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid) FROM pg_index x "
            "WHERE x.indrelid = ANY(%s::regclass[]) AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid) ORDER BY x.indexrelid",
            [list(tables)],
        )
        indexes = cursor.fetchall()
        cursor.execute("SET session_replication_role = replica")
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        yield
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("RESET session_replication_role")
        cursor.execute("RESET maintenance_work_mem")


def go_on(tables: Iterable[str]) -> None:
    """Keys that are given from now on come behind those that were written."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 1) FROM {table}))"
            )


@contextmanager
def unbounded() -> Iterator[None]:
    """No statement is cut off, and no commit waits for the disk."""
    from django.db import connection

    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET synchronous_commit = off")
    yield
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET ALL")
    connection.close()
    print(f"written in {time.monotonic() - began:.0f} s", flush=True)
