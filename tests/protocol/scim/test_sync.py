"""A whole directory comes: how many statements, how much memory, and two at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from idp.models import ProvisionedUser
from idp.scim.pace import PACE
from tests.protocol.scim.support import Scim, person

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PEOPLE = 300


@contextmanager
def at_most(statements: int) -> Iterator[None]:
    """Without BEGIN, COMMIT and savepoints."""
    with CaptureQueriesContext(connections["default"]) as captured:
        yield
    asked = [
        one["sql"] for one in captured if one["sql"].split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    ]
    assert len(asked) <= statements, "\n".join(asked)


def add_many(scim: Scim, count: int = PEOPLE) -> list[str]:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": str(n), "data": person(f"p{n}@acme.example")}
        for n in range(count)
    ]
    answer = scim.post("/Bulk", {"schemas": [BULK], "Operations": operations})
    assert {one["status"] for one in answer["Operations"]} == {"201"}
    return [one["location"].rpartition("/")[2] for one in answer["Operations"]]


@pytest.mark.django_db
def test_statements_of_each_request_do_not_grow_with_the_directory(scim: Scim) -> None:
    keys = add_many(scim, 50)
    scim.get("/Users")  # the use of the token is noted
    with at_most(3):
        scim.get(f"/Users/{keys[0]}")
    with at_most(4):
        assert scim.get("/Users?count=50")["itemsPerPage"] == 50
    with at_most(4):
        assert scim.get('/Users?filter=userName eq "p7@acme.example"')["totalResults"] == 1
    with at_most(9):
        scim.patch(f"/Users/{keys[0]}", {"op": "replace", "path": "title", "value": "Engineer"})
    with at_most(12):
        scim.post("/Users", person("new@acme.example"))
    with at_most(17):
        scim.patch(f"/Users/{keys[0]}", {"op": "replace", "value": {"active": False}})


@pytest.mark.django_db
def test_pages_show_everybody_once_while_others_come_and_go(scim: Scim) -> None:
    keys, seen = add_many(scim, 60), list[str]()
    page = scim.get("/Users?cursor&count=10")
    while True:
        seen += [entry["id"] for entry in page["Resources"]]
        scim.delete(f"/Users/{seen[0]}")
        scim.add(f"late{len(seen)}@acme.example")
        if not page.body.get("nextCursor"):
            break
        page = scim.get(f"/Users?count=10&cursor={page['nextCursor']}")
    assert len(seen) == len(set(seen))
    assert set(seen) >= set(keys)


@pytest.mark.django_db
def test_a_page_of_a_large_directory_takes_no_more_memory_than_of_a_small_one(scim: Scim) -> None:
    def peak() -> int:
        tracemalloc.start()
        scim.get("/Users?count=20")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    add_many(scim, 20)
    small = [peak(), peak()][1]
    for start in range(1, 4):
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(n), "data": person(f"q{start}-{n}@acme.example")}
            for n in range(100)
        ]
        scim.post("/Bulk", {"schemas": [BULK], "Operations": operations})
    assert ProvisionedUser.objects.count() == 320
    assert peak() < small * 3  # of a directory sixteen times as large


@pytest.mark.django_db(transaction=True)
def test_two_syncs_at_once_make_everybody_once(scim: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PACE, "_at_once", 10_000)

    def sync(number: int) -> set[int]:
        mine = Scim(scim.connection, scim.token)
        try:
            return {mine.post("/Users", person(f"p{n}@acme.example")).status for n in range(number % 2, 15)}
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        statuses = set[int]().union(*pool.map(sync, range(2)))
    assert statuses <= {201, 409}
    assert ProvisionedUser.objects.count() == 15
    assert len(set(ProvisionedUser.objects.values_list("identity", flat=True))) == 15
