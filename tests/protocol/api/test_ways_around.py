"""Ways around "nobody gives more than they have": what a program of few scopes might do to become somebody with more."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from joserfc.jwk import ECKey

from idp.applications import management_api
from idp.models import Application, ClientGrant, Connection, Group, Identity, ResourceServer, Role, User
from idp.people.console_roles import CONFIGURATOR
from idp.scim import tokens
from idp.tenants import management, signals_api
from tests.protocol.admin.test_roles import with_role
from tests.support.factories import make_application, make_connection, make_user
from tests.support.management import EVERYTHING, Api

pytestmark = pytest.mark.django_db
OKTA = {"domain": "acme.okta.com", "client_id": "x"}
TRUST = ("create:connections", "read:connections", "update:connections", "delete:connections")


@pytest.fixture
def okta() -> Connection:
    return make_connection("acme", "okta", options=OKTA)


def somebody_of(connection: Connection, **powers: bool) -> None:
    user = make_user("boss@acme.example", connection=make_connection(), **powers)
    Identity.objects.create(user=user, connection=connection, sub="00u-boss")


def permits_everything(**more: object) -> Role:
    management.ensure()
    permissions = [
        {"resource_server_identifier": management_api.audience(), "permission_name": name} for name in EVERYTHING
    ]
    return Role.objects.create(name="API administrators", permissions=permissions, **more)


def test_who_may_write_accounts_of_a_connection_is_as_guarded_as_whom_it_trusts(okta):
    """By SCIM the account of an administrator can be given the id of another account, which then signs in as them."""
    api, path = Api(), f"connections/{okta.public_id}/scim-configuration"
    assert api.post(path).status_code == 201
    token = api.post(f"{path}/tokens").json()["token_id"]
    somebody_of(okta, is_staff=True)
    for method, where in (("POST", f"{path}/tokens"), ("DELETE", f"{path}/tokens/{token}"), ("DELETE", path)):
        answer = api.ask(method, where)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "operation_not_supported"), (method, where)
    tokens.switch_off(okta.provisioning, actor="system", at=timezone.now())
    assert api.post(path).status_code == 403


@pytest.mark.parametrize("powers", [{}, {"is_staff": True}])
def test_the_secret_of_an_application_that_writes_accounts_is_as_guarded_as_a_token_that_does(okta, powers):
    api, source = Api(["update:client_keys", "update:clients", "create:client_credentials"]), make_application("Source")
    tokens.switch_on(okta, actor="system", at=timezone.now()).applications.add(source)
    somebody_of(okta, **powers)
    path, jwk = f"clients/{source.client_id}", ECKey.generate_key("P-256")
    key = {"credential_type": "public_key", "pem": jwk.as_pem(private=False).decode()}
    answers = {
        api.post(f"{path}/credentials", key).status_code,
        api.patch(path, {"client_secret": "another-secret-of-enough-length-0123456789"}).status_code,
        api.post(f"{path}/rotate-secret").status_code,
    }
    assert answers == ({403} if powers else {200, 201})
    assert api.patch(path, {"name": "Renamed"}).status_code == 200


@pytest.mark.parametrize("how", ["role", "group", "nobody yet"])
def test_a_connection_does_not_lend_scopes_of_people_who_come_through_it(okta, how):
    somebody_of(okta)
    person = okta.identities.get().user
    if how == "role":
        permits_everything().people.add(person)
    else:
        permits_everything(groups=[{"connection": "acme" if how == "nobody yet" else None, "name": "operations"}])
        if how == "group":
            Group.objects.create(name="operations").memberships.create(user=person)
    few, all_of_them = Api(TRUST), Api(program=make_all())
    path = f"connections/{okta.public_id}"
    for api, expected in ((few, 403), (all_of_them, 200)):
        assert api.patch(path, {"options": {**OKTA, "scope": "openid"}}).status_code == expected
        assert api.post(f"{path}/scim-configuration").status_code == (expected if expected == 403 else 201)
    assert few.patch(path, {"display_name": "Acme"}).status_code == 200


def make_all() -> Application:
    program = make_application("All", app_type="non_interactive", grant_types=["client_credentials"], redirect_uris="")
    ClientGrant.objects.create(application=program, resource_server=management.ensure(), scope=list(EVERYTHING))
    return program


def test_a_group_of_any_source_is_no_way_to_more_scopes():
    permits_everything(groups=["operations"])
    body = {"name": "mine", "strategy": "okta", "options": OKTA}
    assert Api(TRUST).post("connections", body).status_code == 403
    assert Api(program=make_all()).post("connections", body).status_code == 201


def test_codes_of_an_application_that_may_more_go_nowhere_else():
    spa = make_application("Console", app_type="spa", token_endpoint_auth_method="none")
    ClientGrant.objects.create(application=spa, resource_server=management.ensure(), scope=["delete:users"])
    path, api = f"clients/{spa.client_id}", Api(["update:clients"])
    for body in ({"callbacks": ["https://evil.example/"]}, {"web_origins": ["https://evil.example"]}):
        answer = api.patch(path, body)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope"), body
    assert api.patch(path, {"name": "Renamed"}).status_code == 200
    assert Api(program=make_all()).patch(path, {"callbacks": ["https://console.example/"]}).status_code == 200


def signals() -> ResourceServer:
    signals_api.ensure()
    return ResourceServer.objects.get(identifier=signals_api.audience())


@pytest.mark.parametrize("may_read", [False, True])
def test_who_may_not_read_the_trail_makes_nobody_hear_it_by_a_stream(may_read):
    """A stream tells its application of everybody; whoever gives the grant, a role with it, or knows such an application's secret, has it."""
    scopes = ["create:client_grants", "update:clients", "update:client_keys", "update:roles", "update:users"]
    api, mine = Api([*scopes, "read:logs"] if may_read else scopes), make_application("Mine")
    other = make_application("Receiver")
    ClientGrant.objects.create(application=other, resource_server=signals(), scope=["ssf.manage"])
    role, person = Role.objects.create(name="Streams"), make_user()
    wanted = {"resource_server_identifier": signals_api.audience(), "permission_name": "ssf.manage"}
    grant = {"client_id": mine.client_id, "audience": signals_api.audience(), "scope": ["ssf.manage"]}
    of_person = f"users/{person.user_id.replace('|', '%7C')}"
    for path, body in (
        ("client-grants", grant),
        (f"clients/{other.client_id}/rotate-secret", {}),
        (f"roles/{role.public_id}/permissions", {"permissions": [wanted]}),
    ):
        answer = api.post(path, body)
        assert (answer.status_code == 403) is not may_read, (path, answer.content)
        assert ("read:logs" in answer.json().get("message", "")) is not may_read, path
    role.permissions = [wanted]
    role.save()
    role.people.add(person)
    assert (api.patch(of_person, {"password": "another-long-password-7"}).status_code == 403) is not may_read


@pytest.mark.parametrize("api", [management.ensure, signals])
def test_a_configurator_of_the_console_does_not_turn_them_elsewhere_either(api):
    app = make_application("Console", token_endpoint_auth_method="none", grant_types=["authorization_code"])
    ClientGrant.objects.create(application=app, resource_server=api(), scope=["read:users"])
    client, where = with_role(CONFIGURATOR).client, reverse("admin:idp_application_change", args=[app.pk])
    form = client.get(where).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in typed.items() if value not in (None, False, "")}
    before = app.redirect_uris
    answer = client.post(where, {**typed, "name": "Renamed", "redirect_uris": "https://evil.example/"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    app.refresh_from_db()
    assert (app.name, app.redirect_uris) == ("Renamed", before)
    assert client.post(reverse("admin:idp_application_act", args=[app.pk, "import-metadata"])).status_code == 403


def test_an_account_is_not_given_back_to_somebody_who_has_powers_now(okta):
    person, boss = make_user("mary@acme.example"), make_user("boss@acme.example")
    identity = Identity.objects.create(user=person, connection=okta, sub="00u-boss")
    User.objects.filter(pk=boss.pk).update(user_id=identity.own_user_id, is_staff=True)
    path = f"users/{person.user_id.replace('|', '%7C')}/identities/okta/acme%7C00u-boss"
    api = Api()
    assert api.delete(path).status_code == 403
    User.objects.filter(pk=boss.pk).update(is_staff=False)
    assert api.delete(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("stats/daily", {"to": "99991231"}),
        ("stats/daily", {"from": "00010101"}),
        ("evidence", {"until": "0001-01-01T00:00:00Z", "user_id": "auth0|x"}),
        ("evidence", {"since": "9999-12-31T23:59:59Z"}),
    ],
)
def test_times_at_the_ends_of_the_calendar_are_refused(path, query):
    assert Api().get(path, **query).status_code == 400
