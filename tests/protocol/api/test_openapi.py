"""The OpenAPI document: made of the table, committed, true of every answer."""

from __future__ import annotations

import json

import pytest
from django.http import HttpResponse

from logout_app.admin.pages import api_document
from logout_app.api.table import OPERATIONS
from tests.support import api_page
from tests.support.factories import make_user
from tests.support.management import Api
from tests.support.openapi import conformance, table
from tests.support.openapi.document import operation_id


@pytest.mark.once
def test_the_document_is_what_the_table_makes():
    made = json.loads(api_page.document())
    assert made == json.loads(api_page.DOCUMENT.read_text()), "python -m tests.support.api_page"
    assert made["openapi"] == "3.1.0"
    described = {(path, method) for path, methods in made["paths"].items() for method in methods}
    assert described == {(operation.address, operation.method.lower()) for operation in OPERATIONS}
    ids = [operation_id(operation) for operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    assert table.BODIES.keys() == {table.key(operation) for operation in OPERATIONS}


@pytest.mark.once
def test_the_administration_can_read_the_document():
    """Its reader takes no JSON that is nested deeply: what is inside of something has a name of its own."""
    assert api_document.document()["paths"]


@pytest.mark.once
def test_an_operation_of_whose_bodies_nobody_wrote_has_no_document(monkeypatch):
    monkeypatch.delitem(table.BODIES, "GET roles")
    with pytest.raises(LookupError, match="GET roles"):
        api_page.document()


@pytest.mark.django_db
def test_an_answer_that_the_document_does_not_know_is_noticed():
    """Every test of this folder that asks by `Api` looks so."""
    user = make_user()
    answer = Api().get(f"users/{user.user_id}")
    assert answer.resolver_match
    row = answer.json()
    for wrong, sentence in (
        ({**row, "shoe_size": 44}, "shoe_size"),
        ({**row, "email_verified": "yes"}, "boolean"),
        ({**row, "created_at": "yesterday"}, "date-time"),
    ):
        said = conformance.problem("/api/v2/users/{user_id}", "GET", HttpResponse(json.dumps(wrong)))
        assert sentence in said
    assert "has only 200" in conformance.problem("/api/v2/users/{user_id}", "GET", HttpResponse("{}", status=418))
    assert "has no body" in conformance.problem("/api/v2/users/{user_id}", "DELETE", HttpResponse("{}", status=204))
    answer.content = json.dumps({**row, "shoe_size": 44}).encode()
    with pytest.raises(AssertionError, match="shoe_size"):
        conformance.check(answer, "GET")
