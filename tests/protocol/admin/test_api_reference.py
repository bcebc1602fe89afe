"""The reference of the Management API: who sees it, what is found, and that no script is needed for it."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from logout_app.admin.pages import api_document
from logout_app.api.table import OPERATIONS
from tests.protocol.admin.conftest import clerk_with
from tests.support import api_page

pytestmark = pytest.mark.django_db


def page(client: Client, **query: str) -> str:
    response = client.get(reverse("admin:api_reference"), query)
    assert response.status_code == 200
    return response.content.decode()


def test_it_is_searched_by_words_and_says_everything_of_an_operation(admin: Client) -> None:
    everything = page(admin)
    assert all(operation.address in everything for operation in OPERATIONS)
    assert everything.count("?operation=") == len(OPERATIONS)
    found = page(admin, q="DELETE sessions revoke")
    assert "/api/v2/sessions/{sid}/revoke" in found
    assert "/api/v2/clients" not in found
    assert "No operation has all of these words" in page(admin, q="<script>alert(1)</script>")
    one = page(admin, operation="patch_clients_by_client_id")
    for said in ("update:clients", "oidc_logout.backchannel_logout_urls", "refresh_token.leeway", "Answer 200", "429"):
        assert said in one
    assert "An object with" not in one
    lists = page(admin, operation="get_users")
    assert "A list of these; an object with such a list with include_totals, or with take." in lists
    assert admin.get(reverse("admin:api_reference"), {"operation": "nothing"}).status_code == 404


@pytest.mark.once
def test_every_operation_can_be_told() -> None:
    assert len(api_document.operations()) == len(OPERATIONS)
    for one in api_document.operations():
        forms, rows = api_document.answer(one)
        assert all(row.kind and row.place for row in (*api_document.parameters(one), *api_document.body(one), *rows))
        assert api_document.status(one)
        assert ("401", "No token of this API.") in api_document.refusals(one), forms


def test_the_document_is_a_file_for_whoever_sees_grants_and_for_nobody_else() -> None:
    reader = clerk_with("view_clientgrant")
    answer = reader.get(reverse("admin:api_document"))
    assert answer.json() == json.loads(api_page.DOCUMENT.read_text())
    assert reverse("admin:api_reference") in reader.get(reverse("admin:index")).content.decode()


def test_others_see_neither() -> None:
    other = clerk_with("view_user")
    for name in ("admin:api_reference", "admin:api_document"):
        assert other.get(reverse(name)).status_code == 403
    assert reverse("admin:api_reference") not in other.get(reverse("admin:index")).content.decode()
