"""A program that speaks to the Management API, in tests: its application, its grant, its token, and what it asks."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from idp.applications import management_api
from idp.models import Application, ClientGrant, User
from idp.protocol.opaque import digest, new_secret
from idp.tenants import management
from sessions_app.models import AccessToken
from tests.support.factories import make_application
from tests.support.openapi import conformance

EVERYTHING = tuple(management_api.SCOPES)


def make_program(name: str = "Automation", scopes: Collection[str] = EVERYTHING) -> Application:
    program = make_application(name, app_type="non_interactive", grant_types=["client_credentials"], redirect_uris="")
    ClientGrant.objects.create(application=program, resource_server=management.ensure(), scope=list(scopes))
    return program


def token_of(
    program: Application, scopes: Collection[str] = EVERYTHING, *, user: User | None = None, **fields: Any
) -> str:
    """As /oauth/token would have issued it."""
    raw = new_secret()
    given = {"audience": management_api.audience(), "expires": timezone.now() + timedelta(days=1), **fields}
    AccessToken.rows.create(
        token="", token_checksum=digest(raw), scope=" ".join(scopes), application=program, user=user, **given
    )
    return raw


class Api:
    """Requests with one token. Answers are Django's, with `.json()`, and as docs/openapi.json has them."""

    def __init__(self, scopes: Collection[str] = EVERYTHING, *, program: Application | None = None) -> None:
        self.program = program or make_program(scopes=scopes)
        self.token = token_of(self.program, scopes)
        self.client = Client(raise_request_exception=False)

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """`path`: below /api/v2/, encoded as it travels."""
        given: dict[str, Any] = {"headers": {"Authorization": f"Bearer {self.token}"}}
        if body is not None:
            given |= {"data": json.dumps(body), "content_type": "application/json"}
        if query:
            given["query_params"] = query
        response = self.client.generic(method, f"/api/v2/{path}", **given)
        conformance.check(response, method)
        return response

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.ask("PATCH", path, body)

    def delete(self, path: str, body: Any = None) -> Any:
        return self.ask("DELETE", path, body)
