"""What every operation shares: who is let in, how refusals look, pages, and that nothing is forgotten."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from idp.applications import management_api
from idp.crypto import keys
from idp.limits import limiter
from idp.models import ClientGrant, ResourceServer, Role
from idp.tenants import management
from logout_app.api import routes
from logout_app.api.frame import pace
from logout_app.api.frame.operations import Operation
from logout_app.api.people import users
from logout_app.api.table import OPERATIONS
from sessions_app.models import SessionEvent
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.management import EVERYTHING, Api, make_program, token_of
from tests.support.oauth import post_form, tokens_for

pytestmark = pytest.mark.django_db


def address(operation: Operation) -> str:
    return re.sub(r"<\w+:\w+>", "x", operation.path)


def ask(method: str, path: str, authorization: str = "", **more):
    headers = {"Authorization": authorization} if authorization else {}
    return Client(raise_request_exception=False).generic(method, f"/api/v2/{path}", headers=headers, **more)


# --- tokens ------------------------------------------------------------------------------------------------------------
def test_a_program_gets_a_token_by_its_grant_and_its_answer_is_as_at_auth0():
    program = make_program(scopes=["read:users", "read:clients"])
    form = {"grant_type": "client_credentials", "client_id": program.client_id, "client_secret": program.raw_secret}
    answer = post_form("/oauth/token", form | {"audience": f"{settings.ISSUER}api/v2/"}).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 86400)
    assert answer["scope"] == "read:users read:clients"
    assert ask("GET", "users", f"Bearer {answer['access_token']}").status_code == 200
    ClientGrant.objects.all().delete()
    assert post_form("/oauth/token", form | {"audience": f"{settings.ISSUER}api/v2/"}).status_code == 403


def test_what_is_no_token_of_this_api_is_refused(session, app):
    """None, garbage, an ID token, one for another API, one that is over, one with a key nobody proves; an admin's cookie."""
    keys.ensure()
    program, before = make_program(), timezone.now() - timedelta(seconds=1)
    of_person = tokens_for(session, app)
    worthless = {
        "": "Missing authentication",
        "Basic YTpi": "Missing authentication",
        "Bearer garbage": "Invalid token",
        "Bearer é": "Invalid token",
        f"Bearer {of_person['id_token']}": "Invalid token",
        f"Bearer {of_person['access_token']}": "Bad audience",
        f"Bearer {token_of(program, audience='https://api.example/')}": "Bad audience",
        f"Bearer {token_of(program, expires=before)}": "Expired token",
        f"Bearer {token_of(program, revoked_at=before)}": "Expired token",
        f"Bearer {token_of(program, dpop_jkt='x' * 43)}": "bound to a key",
    }
    for authorization, message in worthless.items():
        answer = ask("GET", "users", authorization.encode().decode("latin-1"))
        assert answer.status_code == 401, authorization
        assert set(answer.json()) <= {"statusCode", "error", "message", "errorCode"}
        assert (answer.json()["statusCode"], answer.json()["error"]) == (401, "Unauthorized")
        assert message in answer.json()["message"]
        assert answer.headers["WWW-Authenticate"].startswith(("Bearer", "DPoP"))
    boss = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    assert boss.get("/api/v2/users").status_code == 401


def test_a_token_is_worth_what_stands_now():
    api = Api()
    assert api.get("users").status_code == 200
    ClientGrant.objects.update(scope=["read:clients"])
    assert (api.get("users").status_code, api.get("clients").status_code) == (403, 200)
    api.program.enabled = False
    api.program.save()
    assert api.get("clients").status_code == 401


def test_guesses_at_tokens_end(monkeypatch):
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())
    monkeypatch.setattr(limiter, "ENDPOINT", limiter.Limit("endpoint", 3, 300))
    answers = [ask("GET", "users", "Bearer guess") for _ in range(6)]
    assert [answers[0].status_code, answers[-1].status_code] == [401, 429]
    assert answers[-1].json()["statusCode"] == 429
    assert answers[-1].headers["Retry-After"]
    assert SessionEvent.objects.filter(type="guessing_throttled").exists()


def test_a_person_needs_a_role_and_keeps_what_it_permits(session, app):
    """The scope that the application asked for is not enough, and a role that is taken away ends it at once."""
    api = management.ensure()
    grant = ClientGrant.objects.create(application=app, resource_server=api, scope=["read:users", "delete:users"])
    asked = {"audience": management_api.audience(), "scope": "openid read:users delete:users"}
    raw = tokens_for(session, app, **asked)["access_token"]
    assert ask("GET", "users", f"Bearer {raw}").status_code == 403
    permission = {"resource_server_identifier": management_api.audience(), "permission_name": "read:users"}
    role = Role.objects.create(name="Support", permissions=[permission])
    role.people.add(session.user)
    raw = tokens_for(session, app, **asked)["access_token"]
    answer = ask("GET", "users", f"Bearer {raw}")
    assert answer.status_code == 200
    target = f"users/{session.user.user_id}"
    assert ask("DELETE", target, f"Bearer {raw}").status_code == 403
    grant.delete()  # an application that nobody let near the API does not act as those who may
    assert ask("GET", "users", f"Bearer {raw}").status_code == 403
    ClientGrant.objects.create(application=app, resource_server=api, scope=["read:users"])
    assert ask("GET", "users", f"Bearer {raw}").status_code == 200
    role.people.clear()
    assert ask("GET", "users", f"Bearer {raw}").status_code == 403


def test_what_this_api_is_no_entrance_changes():
    row = management.ensure()
    row.enforce_policies, row.token_dialect, row.scopes = False, "access_token", []
    row.save()
    row = ResourceServer.objects.get()
    assert (row.enforce_policies, row.token_dialect, row.is_system) == (True, "opaque", True)
    assert row.scope_values == set(management_api.SCOPES)
    assert Api().patch(f"resource-servers/{row.pk:024x}", {"name": "Mine"}).status_code == 400


# --- scopes ------------------------------------------------------------------------------------------------------------
def test_every_path_comes_from_the_table_and_every_scope_is_one_of_the_api():
    mounted = {str(entry.pattern) for entry in routes.urlpatterns} - {"api/v2/<path:rest>"}
    assert mounted == {f"api/v2/{operation.path}" for operation in OPERATIONS}
    elsewhere = [
        str(entry.pattern)
        for entry in get_resolver().url_patterns
        if "api/v2" in str(entry.pattern) and not hasattr(entry, "url_patterns")
    ]
    assert elsewhere == []
    used = {scope for operation in OPERATIONS for scope in operation.scopes}
    assert all(operation.scopes and operation.says for operation in OPERATIONS)
    assert used - {*management_api.SCOPES} == set()
    assert {*management_api.SCOPES} - used <= {
        "read:connections_options",  # what of an answer it shows
        *("read:users_app_metadata", "update:users_app_metadata", "read:client_keys", "read:user_idp_tokens"),
    }


def test_every_operation_refuses_whoever_lacks_exactly_its_scope():
    """And nothing was changed by asking."""
    program = make_program()
    for operation in OPERATIONS:
        lacking = [scope for scope in EVERYTHING if scope not in operation.scopes]
        if operation.needs_all:
            lacking += operation.scopes[1:]
        answer = ask(operation.method, address(operation), f"Bearer {token_of(program, lacking)}")
        assert answer.status_code == 403, operation
        assert answer.json()["errorCode"] == "insufficient_scope"
        assert operation.scopes[0] in answer.json()["message"]
        assert ask(operation.method, address(operation)).status_code == 401
    assert not SessionEvent.objects.filter(type="api_operation").exists()


def test_a_scope_to_read_deletes_nothing_whatever_a_header_says(session):
    api = Api(["read:sessions"])
    assert api.delete(f"sessions/{session.sid}").status_code == 403
    headers = {"Authorization": f"Bearer {api.token}", "X-HTTP-Method-Override": "DELETE"}
    assert Client().get(f"/api/v2/sessions/{session.sid}", headers=headers).status_code == 200
    session.refresh_from_db()
    assert session.ended_at is None


def test_nobody_gives_more_of_this_api_than_they_have():
    """Not by a grant, a role, another program's secret or the password of somebody whose role has it."""
    wide = make_program("Wide")
    small = ["create:client_grants", "update:client_grants", "update:client_keys", "update:clients", "update:roles"]
    api = Api([*small, "update:users", "read:users", "create:user_tickets"])
    audience = management_api.audience()
    victim, everything = make_user(), [{"resource_server_identifier": audience, "permission_name": "delete:users"}]
    role = Role.objects.create(name="All", permissions=everything)
    harmless = Role.objects.create(name="Harmless")
    own = ClientGrant.objects.get(application=api.program)
    role.people.add(victim)
    attempts = [
        (
            "POST",
            "client-grants",
            {"client_id": make_application().client_id, "audience": audience, "scope": ["delete:users"]},
        ),
        ("PATCH", f"client-grants/cgr_{own.pk:016x}", {"scope": list(EVERYTHING)}),
        ("POST", f"clients/{wide.client_id}/rotate-secret", None),
        ("PATCH", f"clients/{wide.client_id}", {"client_secret": "a-secret-that-i-know-0123456789"}),
        ("POST", f"roles/{harmless.public_id}/permissions", {"permissions": everything}),
        ("POST", f"users/{make_user('me@fabrikamcorp.com').user_id}/roles", {"roles": [role.public_id]}),
        ("PATCH", f"roles/{role.public_id}", {"groups": ["staff"]}),
        ("PATCH", f"users/{victim.user_id}", {"password": "a passphrase that i know 1"}),
        ("PATCH", f"users/{victim.user_id}", {"email": "mine@evil.example", "email_verified": True}),
        ("POST", "tickets/password-change", {"user_id": victim.user_id}),
    ]
    for method, path, body in attempts:
        answer = api.ask(method, path, body)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope"), path
    wide.refresh_from_db()
    assert (
        post_form(
            "/oauth/token",
            {
                "grant_type": "client_credentials",
                "client_id": wide.client_id,
                "client_secret": wide.raw_secret,
                "audience": audience,
            },
        ).status_code
        == 200
    )


# --- requests ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "users?_connector=OR", 400, "invalid_query_string"),
        ("GET", "users?user__password__startswith=a", 400, "invalid_query_string"),
        ("GET", "users?sort=password:1", 400, "invalid_query_string"),
        ("GET", "users?filter[__class__]=x", 400, "invalid_query_string"),
        ("GET", "users?q=password:a*", 400, "invalid_query_string"),
        ("GET", "users?q=email:a OR name:b", 400, "invalid_query_string"),
        ("GET", "users?per_page=1000000", 400, "invalid_query_string"),
        ("GET", "users?per_page=-1", 400, "invalid_query_string"),
        ("GET", "users?per_page=1e9", 400, "invalid_query_string"),
        ("GET", "users?page=x", 400, "invalid_query_string"),
        ("GET", "users?page=999999999", 400, "invalid_query_string"),
        ("GET", "users?page=999999", 200, None),
        ("GET", "users?take=0", 400, "invalid_query_string"),
        ("GET", "users?from=nonsense", 400, "invalid_query_string"),
        ("GET", "logs?page=999", 400, "invalid_query_string"),
        ("GET", "users/%00", 400, "invalid_uri"),
        ("GET", "users/auth0%7Cnobody", 404, "inexistent_user"),
        ("GET", "clients/nobody", 404, "inexistent_client"),
        ("GET", "logs/99999999999999999999999", 400, "invalid_query_string"),
        ("GET", "logout-events/99999999999999999999999", 404, "inexistent_logout_event"),
        ("GET", "resource-servers/ffffffffffffffffffffffff", 404, "inexistent_resource_server"),
        ("GET", "client-grants/cgr_ffffffffffffffff", 404, "inexistent_client_grant"),
        ("GET", "users?" + "&".join(f"fields={number}" for number in range(1200)), 400, None),
        ("PUT", "users", 405, None),
        ("OPTIONS", "users", 405, None),
        ("GET", "nothing/here?page=0", 404, None),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(method, path, status, code):
    answer = Api().ask(method, path)
    assert answer.status_code == status
    if status != 200 and method != "OPTIONS":
        assert (answer.json()["statusCode"], answer.json().get("errorCode")) == (status, code)


@pytest.mark.parametrize(
    ("text", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"name": "a", "name": "b"}', "application/json", 400),
        ('{"name": NaN}', "application/json", 400),
        ('{"name": "\\ud800"}', "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ('{"name": ' + "9" * 5000 + "}", "application/json", 400),
        ("\xff", "application/json", 400),
        ("name=x", "application/x-www-form-urlencoded", 415),
        ('{"name": "x", "is_superuser": true}', "application/json", 400),
        ('{"name": {"env": "SECRET_KEY"}}', "application/json", 400),
        (
            '{"name": "x", "callbacks": ["https://x.example/"], "client_secret": {"env": "PATH"}}',
            "application/json",
            400,
        ),
        ('{"name": "x", "client_secret": {"file": "manage.py"}}', "application/json", 400),
    ],
)
def test_a_body_that_cannot_be_read_says_why(text, content_type, status):
    api = Api()
    headers = {"Authorization": f"Bearer {api.token}"}
    answer = Client(raise_request_exception=False).generic(
        "POST", "/api/v2/clients", text.encode("latin-1"), content_type=content_type, headers=headers
    )
    assert answer.status_code == status
    assert answer.json()["statusCode"] == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users/{user}", {"is_superuser": True}),
        ("users/{user}", {"is_staff": True}),
        ("users/{user}", {"user_id": "auth0|another"}),
        ("users/{user}", {"revoked_before": None, "identities": []}),
        ("sessions/{sid}", {"user_id": "auth0|another"}),
        ("sessions/{sid}", {"expires_at": "2099-01-01T00:00:00Z"}),
        ("clients/{client}", {"client_id": "another"}),
    ],
)
def test_what_is_not_for_writing_is_refused(session, app, path, body):
    place = path.format(user=session.user.user_id, sid=session.sid, client=app.client_id)
    answer = Api().patch(place, body)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")


def test_what_nobody_expected_is_told_without_its_details(monkeypatch):
    def fails(call):
        raise RuntimeError("the password is swordfish")

    api = Api()
    monkeypatch.setattr(users.shape, "people", fails)
    answer = api.get("users")
    assert (answer.status_code, answer.json()["error"]) == (500, "Internal Server Error")
    assert answer.json()["requestId"]
    assert b"swordfish" not in answer.content
    assert b"Traceback" not in answer.content


def test_who_asks_too_fast_is_told_when_to_go_on(monkeypatch):
    monkeypatch.setattr(pace, "LIMIT", limiter.Limit("api", 3, 86_400))
    api = Api()
    answers = [api.get("roles") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert int(answers[0].headers["X-RateLimit-Reset"]) > timezone.now().timestamp()
    assert answers[-1].headers["Retry-After"]
    assert answers[-1].json()["errorCode"] == "too_many_requests"


def test_the_pace_of_a_caller_is_one_for_all_processes_and_costs_a_statement_for_many_requests(monkeypatch):
    monkeypatch.setattr(pace, "LIMIT", limiter.Limit("api", 200, 86_400))
    monkeypatch.setattr(pace, "FREE", 20)
    at, here, there = timezone.now(), pace.CallerPace(), pace.CallerPace()
    with CaptureQueriesContext(connection) as seen:
        assert all(here.take("seldom", at).allowed for _ in range(20))
    assert not seen.captured_queries
    with CaptureQueriesContext(connection) as seen:
        first = [here.take("fast", at) for _ in range(150)]
    assert all(left.allowed for left in first)
    assert [left.remaining for left in first[:3]] == [199, 198, 197]
    assert first[-1].remaining == 50
    assert len(seen.captured_queries) <= 150 // pace.LOT
    other = [there.take("fast", at) for _ in range(100)]
    assert 50 - pace.LOT <= sum(left.allowed for left in other) <= 50 + pace.FREE
    assert (other[-1].allowed, other[-1].remaining) == (False, 0)
    with CaptureQueriesContext(connection) as seen:
        assert not any(there.take("fast", at).allowed for _ in range(50))
    assert not seen.captured_queries, "who is above the limit is refused without the database"
    assert there.take("fast", at + timedelta(days=1)).allowed
    assert there.take("another", at).allowed


# --- pages -------------------------------------------------------------------------------------------------------------
def test_both_kinds_of_pages_end_where_iterators_stop():
    api = Api()
    ids = [make_user(f"user{number}@fabrikamcorp.com").user_id for number in range(7)]
    assert [row["user_id"] for row in api.get("users", per_page=3, page=2).json()] == ids[6:]
    assert api.get("users", per_page=3, page=3).json() == []
    page = api.get("users", per_page=3, page=1, include_totals="true").json()
    assert {name: page[name] for name in ("start", "limit", "length", "total")} == {
        "start": 3,
        "limit": 3,
        "length": 3,
        "total": 7,
    }
    seen, query = [], {"take": 3}
    while True:
        page = api.get("users", **query).json()
        seen += [row["user_id"] for row in page["users"]]
        if "next" not in page:
            break
        query = {"take": 3, "from": page["next"]}
    assert seen == ids


def test_fields_are_chosen_or_left_out():
    api, user = Api(), make_user()
    assert api.get("users", fields="user_id,email").json() == [{"user_id": user.user_id, "email": user.email}]
    left = api.get("users", fields="identities", include_fields="false", include_totals="true").json()
    assert left["total"] == 1
    assert "identities" not in left["users"][0]
    assert set(api.get(f"users/{user.user_id}", fields="email").json()) == {"email"}


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.method == "GET" and "<" not in one.path], ids=lambda one: one.path
)
def test_a_list_costs_the_same_however_long_it_is(operation, app):
    """One person, session, application; then three of each."""
    api = Api()
    query = {"email": "mary@fabrikamcorp.com"} if operation.path == "users-by-email" else {}
    if operation.path == "user-blocks":
        query = {"identifier": "mary00@fabrikamcorp.com"}
    if operation.path in ("refresh-tokens", "grants"):
        query = {"user_id": make_user("first@fabrikamcorp.com").user_id}
    counts = []
    for round_ in range(2):
        for number in range(1 + 2 * round_):
            user = make_user(f"mary{round_}{number}@fabrikamcorp.com")
            session = make_session(user, app, make_application(f"App {round_} {number}"))
            api.delete(f"sessions/{session.sid}")
        api.get(operation.path, **query)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            answer = api.get(operation.path, **query)
        assert answer.status_code in (200, 404)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 9


def test_a_write_leaves_a_line_with_its_actor_and_nothing_when_it_is_refused():
    api, user = Api(), make_user()
    assert api.patch(f"users/{user.user_id}", {"name": "Mary B."}).status_code == 200
    assert api.patch(f"users/{user.user_id}", {"nonsense": 1}).status_code == 400
    line = SessionEvent.objects.get(type="api_operation")
    assert line.actor == "app:automation"
    assert line.data == {"operation": "PATCH /api/v2/users/{user_id}", "ids": {"user_id": user.user_id}}
    edited = SessionEvent.objects.get(type="person_edited")
    assert (edited.sub, edited.actor, edited.data) == (user.user_id, "app:automation", {"attributes": ["name"]})
