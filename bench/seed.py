"""Prepare an empty database with the users and applications that the harness names in BENCH_PROVISION. ALG: RS256 (default) or ES256."""

from __future__ import annotations

import json
import os
from pathlib import Path

import django

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from idp.crypto import keys  # noqa: E402
from idp.models import Application, Connection, Identity, TenantSettings, User  # noqa: E402


def main() -> None:
    plan = json.loads(Path(os.environ["BENCH_PROVISION"]).read_text())
    make_database()
    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    TenantSettings.objects.create(pk=1, friendly_name="Bench", max_sessions_per_user=100_000)
    keys.ensure()
    seed_users(plan["users"])
    for client in plan["clients"]:
        seed_application(client, plan["post_logout_redirect_uri"])


def make_database() -> None:
    name = connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:  # of the database "postgres"
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")


def seed_users(users: list[dict[str, str]]) -> None:
    connection = make_connection()
    encoded = make_password(users[0]["password"])
    rows = [User(user_id=f"auth0|{index:024x}", password=encoded) for index, _ in enumerate(users)]
    User.objects.bulk_create(rows)
    Identity.objects.bulk_create(
        Identity(user=row, connection=connection, sub=row.user_id.split("|")[1], login=user["username"])
        for row, user in zip(rows, users, strict=True)
    )


def make_connection() -> Connection:
    without_offers = {
        "passkey_options": {"progressive_enrollment_enabled": False}
    }  # no page after the password, as elsewhere
    return Connection.objects.create(name="Bench", strategy="auth0", options=without_offers)


def seed_application(client: dict[str, object], post_logout_uri: str) -> None:
    Application.objects.create(
        client_id=client["client_id"],
        name=client["client_id"],
        client_secret=client["client_secret"],
        redirect_uris=" ".join(client["redirect_uris"]),  # type: ignore[arg-type]
        post_logout_redirect_uris=post_logout_uri,
        backchannel_logout_uri=client["backchannel_logout_uri"],
        id_token_signed_response_alg=os.environ.get("ALG", "RS256"),
        refresh_token_leeway=0,  # the harness checks that a spent token is refused at once
    )


if __name__ == "__main__":
    main()
