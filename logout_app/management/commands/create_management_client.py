"""`manage.py create_management_client`: an application that may use the Management API, and its secret, once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from idp.applications import management_api, trail
from idp.models import Application, AppType, ClientGrant, TokenEndpointAuthMethod
from idp.protocol.grant_types import CLIENT_CREDENTIALS
from idp.protocol.opaque import new_secret
from idp.tenants import management

ACTOR = "system"


class Command(BaseCommand):
    help = "Register a client of the Management API; prints AUTH0_CLIENT_ID= and AUTH0_CLIENT_SECRET=, the secret this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="Management", help="What it is called.")
        parser.add_argument("--scopes", nargs="+", metavar="SCOPE", help="Without it: all of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = options["scopes"] or list(management_api.SCOPES)
        if unknown := [scope for scope in scopes if scope not in management_api.SCOPES]:
            raise CommandError(f"There is no scope {unknown[0]}. There are: {', '.join(management_api.SCOPES)}.")
        secret = new_secret()
        row = Application(
            name=options["name"],
            app_type=AppType.NON_INTERACTIVE,
            token_endpoint_auth_method=TokenEndpointAuthMethod.POST,
            grant_types=[CLIENT_CREDENTIALS],
            client_secret=secret,
        )
        row.clean()
        with transaction.atomic():
            row.save()
            ClientGrant.objects.create(application=row, resource_server=management.ensure(), scope=scopes)
            trail.changed(None, row, actor=ACTOR, at=timezone.now())
        self.stdout.write(f"AUTH0_DOMAIN={settings.ISSUER_PARTS.netloc}")
        self.stdout.write(f"AUTH0_CLIENT_ID={row.client_id}")
        self.stdout.write(f"AUTH0_CLIENT_SECRET={secret}")
        self.stdout.write(f"AUTH0_AUDIENCE={management_api.audience()}")
