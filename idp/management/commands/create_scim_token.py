"""`manage.py create_scim_token CONNECTION`: let a connection be provisioned, and print address and token once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from idp.models import Connection
from idp.scim import applications, tokens
from idp.scim.context import SCOPES

ACTOR = "system"


class Command(BaseCommand):
    help = "Let a connection be provisioned by SCIM 2.0; prints SCIM_BASE= and SCIM_TOKEN=, the token this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("connection", help="Name or id.")
        parser.add_argument("--scopes", nargs="+", default=list(SCOPES), metavar="SCOPE", help=", ".join(SCOPES))
        parser.add_argument("--lifetime", type=int, help="Seconds, 900 at least; without it the token does not expire.")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["connection"]
        connection = Connection.objects.filter(Q(name=named) | Q(public_id=named)).first()
        if connection is None:
            raise CommandError(f"There is no connection {named}.")
        at = timezone.now()
        try:
            provisioning = tokens.switch_on(connection, actor=ACTOR, at=at)
            made = tokens.create(
                provisioning, actor=ACTOR, at=at, scopes=options["scopes"], lifetime=options["lifetime"]
            )
        except tokens.CannotProvision as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"SCIM_BASE={applications.base_url(connection)}")
        self.stdout.write(f"SCIM_TOKEN={made.raw}")
