"""Nothing goes to the standby but rows of the lists that are named here: no write, and nothing that decides."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.test import Client

from idp.database import addresses as database_addresses
from idp.database.addresses import STANDBY
from idp.database.standby import watch
from logout_app.api.table import OPERATIONS
from tests.protocol.pages.conftest import _furnished as furnish
from tests.support.factories import browser, make_session, make_user
from tests.support.management import Api
from tests.support.site_map import addresses

ROOT = Path(__file__).parents[2]
USED_IN = {
    "idp/admin/support.py",
    "logout_app/api/frame/endpoint.py",
    "logout_app/api/frame/paging.py",
    "logout_app/api/tenant/logs.py",
    "sessions_app/admin/audit.py",
    "sessions_app/audit/listing.py",
}
PAGES = {
    "/admin/idp/clientregistration/",
    "/admin/idp/identity/",
    "/admin/idp/invitation/",
    "/admin/idp/limiterslot/",
    "/admin/idp/spenttoken/",
    "/admin/idp/user/",
    "/admin/idp/user/?q=nobody",
    "/admin/logout_app/deliverytally/",
    "/admin/logout_app/drainreport/",
    "/admin/logout_app/logoutdelivery/",
    "/admin/logout_app/logoutevent/",
    "/admin/logout_app/logouttransaction/",
    "/admin/mfa/authenticator/",
    "/admin/sessions_app/accesstoken/",
    "/admin/sessions_app/authorizationcode/",
    "/admin/sessions_app/consent/",
    "/admin/sessions_app/devicegrant/",
    "/admin/sessions_app/flowstate/",
    "/admin/sessions_app/idtoken/",
    "/admin/sessions_app/refreshtoken/",
    "/admin/sessions_app/refreshtokenfamily/",
    "/admin/sessions_app/sessionclient/",
    "/admin/sessions_app/sessionevent/",
    "/admin/sessions_app/sessionevent/?q=mary@fabrikamcorp.com",
    "/admin/sessions_app/ssosession/",
}
LISTS = {
    "users",
    "logs",
    "stats/active-users",
    "stats/daily",
    "logout-events",
    "deliveries",
    "refresh-tokens",
    "device-credentials",
    "roles/<str:role_id>/users",
    "users/<str:user_id>/logs",
    "users/<str:user_id>/sessions",
    "users/<str:user_id>/refresh-tokens",
}


def test_it_is_used_in_these_modules_only() -> None:
    named = re.compile(r"idp\.database\.standby import (\(\s*)?reading|[\"']standby[\"']|\bSTANDBY\b")
    using = {
        str(path.relative_to(ROOT))
        for app in ("idp", "sessions_app", "logout_app")
        for path in (ROOT / app).rglob("*.py")
        if named.search(path.read_text()) and (ROOT / "idp/database") not in path.parents
    }
    words = {"logout_app/operators/doctor.py", "logout_app/views/operations.py"}  # the name of a topic
    assert using - words == USED_IN


def test_operations_that_read_there_are_these_lists() -> None:
    assert {operation.path for operation in OPERATIONS if operation.standby} == LISTS
    assert {operation.method for operation in OPERATIONS if operation.standby} == {"GET"}


@pytest.fixture
def asked(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """SQL that goes to a standby, which is the test's own transaction by another name."""
    found: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found.append(sql)
        return execute(sql, *rest)

    connection.ensure_connection()
    there = copy.copy(connections["default"])
    there.alias, there.execute_wrappers = STANDBY, [note]
    connections.settings[STANDBY] = connections.settings["default"]
    connections[STANDBY] = there
    monkeypatch.setattr(watch, "has_caught_up", lambda: True)
    monkeypatch.setattr(watch, "look", watch.StandbyState)  # /readyz and /metrics ask how far it is
    yield found
    del connections[STANDBY]
    del connections.settings[STANDBY]


@pytest.mark.once
def test_of_all_pages_these_read_there(asked: list[str]) -> None:
    rows = furnish()
    session = make_session(make_user("role@fabrikamcorp.com", is_staff=True, is_superuser=True))
    administrator, reading = browser(session, raise_request_exception=False), set()
    for path in addresses(rows):
        if (
            path.startswith(("/logout", "/v2/logout", "/oidc/logout")) or "/999999/" in path
        ):  # ends this session; is nowhere
            continue
        asked.clear()
        administrator.get(path, headers={"Accept": "text/html"})
        if asked:
            reading.add(path)
        assert [sql for sql in asked if not sql.startswith("SELECT") or "FOR UPDATE" in sql] == []
    assert reading == PAGES


def test_an_act_on_a_list_reads_nothing_there(asked: list[str], administrator: Client) -> None:
    for page in sorted(PAGES):
        administrator.post(page.partition("?")[0], {"action": "delete_selected", "_selected_action": "1"})
        assert asked == [], page


@pytest.fixture
def administrator(db: None) -> Client:
    user = make_user("role@fabrikamcorp.com", is_staff=True, is_superuser=True)
    return browser(make_session(user), raise_request_exception=False)


def test_of_all_operations_these_read_there(asked: list[str]) -> None:
    api, user = Api(), make_user()
    for operation in OPERATIONS:
        asked.clear()
        whom = user.user_id.replace("|", "%7C") if operation.standby else "x"
        place = re.sub(r"<\w+:\w+>", "x", re.sub(r"<\w+:user_id>", whom, operation.path))
        api.ask(operation.method, place, **({"user_id": user.user_id} if operation.path == "refresh-tokens" else {}))
        assert not asked or (operation.method == "GET" and operation.path in LISTS), operation
        if operation.path in LISTS - {"roles/<str:role_id>/users"} and operation.method == "GET":
            assert asked, operation


@pytest.mark.parametrize(
    ("primary", "replica"),
    [("sqlite:///x.sqlite3", "postgres://user@host/name"), ("postgres://user@host/name", "sqlite:///x.sqlite3")],
)
def test_a_standby_is_of_postgresql_or_refused(primary: str, replica: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", primary)
    monkeypatch.setenv("DATABASE_REPLICA_URL", replica)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_REPLICA_URL is for a standby"):
        database_addresses.databases(ROOT)


def test_without_one_nothing_is_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_REPLICA_URL", raising=False)
    assert (database_addresses.routers(), list(database_addresses.databases(ROOT))) == ([], ["default"])
    monkeypatch.setenv("DATABASE_URL", "postgres://user@host/name")
    monkeypatch.setenv("DATABASE_REPLICA_URL", "postgres://user@a,b/name?target_session_attrs=standby")
    found = database_addresses.databases(ROOT)["standby"]
    assert (found["HOST"], found["OPTIONS"]["target_session_attrs"]) == ("a,b", "standby")
    assert database_addresses.routers()
