"""Groups, roles, access and claims in the administration."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.directory import memberships, roles
from idp.models import Application, ClaimTrouble, Group, Membership, ResourceServer, Role, Source, User
from sessions_app.models import SessionEvent
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
API = "https://api.example/"


@pytest.fixture
def admin() -> Client:
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    return browser(make_session(boss))


@pytest.fixture
def mary() -> User:
    return make_user()


def act_url(obj, name: str) -> str:
    return reverse(f"admin:idp_{obj._meta.model_name}_act", args=(obj.pk, name))


def change_url(obj) -> str:
    return reverse(f"admin:idp_{obj._meta.model_name}_change", args=(obj.pk,))


def filled(admin: Client, url: str) -> dict:
    form = admin.get(url).context["adminform"].form
    return {item.html_name: item.value() for item in form if item.value() not in (None, False, "")}


def test_an_application_gets_groups_and_claims_by_its_form(admin):
    app = make_application("Grafana")
    data = filled(admin, change_url(app)) | {
        "access_mode": "groups",
        "access_groups": 'staff\n{"connection": "Acme", "name": "ops"}\n" odd "',
        "access_loss_signs_out": "on",
        "claim_mappings": '[{"claim": "roles", "from": "groups", "in": ["id_token"]}]',
    }
    assert admin.post(change_url(app), data).status_code == 302
    app.refresh_from_db()
    assert app.access_groups == ["staff", {"connection": "Acme", "name": "ops"}, " odd "]
    assert app.claim_mappings == [{"claim": "roles", "from": "groups", "in": ["id_token"]}]
    again = filled(admin, change_url(app))
    assert again["access_groups"] == data["access_groups"]
    assert admin.post(change_url(app), again).status_code == 302
    before = app.claim_mappings
    app.refresh_from_db()
    assert app.claim_mappings == before


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("claim_mappings", '[{"claim": "sub", "from": "groups"}]', "reserved"),
        ("claim_mappings", '[{"claim": "x", "from": "groups["}]', "no JMESPath"),
        ("claim_mappings", '{"claim": "x"}', "JSON list"),
        ("access_groups", '{"name": "x"', "begins like JSON"),
    ],
)
def test_a_form_says_what_is_wrong_and_saves_nothing(admin, field, typed, said):
    app = make_application("Grafana")
    page = admin.post(change_url(app), filled(admin, change_url(app)) | {field: typed})
    assert page.status_code == 200
    assert said in str(page.context["adminform"].form.errors[field])
    assert Application.objects.get(pk=app.pk).claim_mappings == []


def test_a_persons_page_shows_groups_with_their_source(admin, mary):
    identity = make_user("carl@x.example", connection=make_connection("Acme", "oidc")).identities.get()
    memberships.replace_memberships(identity, ["ops"], Source.UPSTREAM, at=timezone.now())
    memberships.add_person(memberships.group_of(None, "staff"), identity.user, actor="admin:a", at=timezone.now())
    Role.objects.create(name="viewers", groups=["staff"])
    page = admin.get(change_url(identity.user)).content.decode()
    assert "ops (Acme): said by the connection, at the last sign-in" in page
    assert "staff: said by an administrator" in page
    assert "viewers: by a group" in page


def test_an_administrator_changes_groups_roles_and_assignments_in_one_act(admin, mary):
    ours, acme = memberships.group_of(None, "staff"), memberships.group_of(make_connection("Acme", "oidc"), "ops")
    role = Role.objects.create(name="operators")
    app = make_application("Wiki", access_mode="assigned")
    page = admin.get(act_url(mary, "access")).content.decode()
    assert "staff" in page
    assert "ops" not in page
    chosen = {"groups": [ours.pk], "roles": [role.pk], "applications": [app.pk]}
    assert admin.post(act_url(mary, "access"), chosen).status_code == 302
    assert Membership.objects.get().group == ours
    assert (mary.roles.get(), mary.assignments.get().application) == (role, app)
    assert admin.post(act_url(mary, "access"), {"groups": [acme.pk]}).status_code == 200
    assert admin.post(act_url(mary, "access"), {}).status_code == 302
    assert not Membership.objects.exists()
    assert not mary.roles.exists()
    assert not mary.assignments.exists()
    assert SessionEvent.objects.filter(type__in=["groups_changed", "roles_changed", "assignment_changed"]).count() == 6


def test_a_group_of_ours_is_added_once_and_one_of_a_connection_is_kept_as_it_is(admin, mary):
    url = reverse("admin:idp_group_add")
    assert admin.post(url, {"name": "staff", "description": ""}).status_code == 302
    assert admin.post(url, {"name": "staff", "description": ""}).status_code == 200
    group = Group.objects.get()
    memberships.add_person(group, mary, actor="admin:a", at=timezone.now())
    page = admin.get(change_url(group)).content.decode()
    assert str(mary) in page
    assert admin.post(reverse("admin:idp_group_delete", args=(group.pk,)), {"post": "yes"}).status_code == 302
    assert SessionEvent.objects.filter(type="group_deleted").exists()


def test_a_role_has_permissions_of_apis_that_there_are(admin):
    ResourceServer.objects.create(identifier=API, scopes=[{"value": "read:things"}])
    url = reverse("admin:idp_role_add")
    data = {"name": "operators", "description": "", "permissions": f"{API} read:things", "groups": "staff"}
    assert "no scope" in admin.post(url, data | {"permissions": f"{API} write:things"}).content.decode()
    assert "no API" in admin.post(url, data | {"permissions": "https://x/ read:things"}).content.decode()
    assert admin.post(url, data).status_code == 302
    role = Role.objects.get()
    assert role.permissions == [{"resource_server_identifier": API, "permission_name": "read:things"}]
    assert role.groups == ["staff"]
    assert filled(admin, change_url(role))["permissions"] == f"{API} read:things"
    mary = make_user()
    roles.give(role, mary, actor="admin:a", at=timezone.now())
    assert str(mary) in admin.get(change_url(role)).content.decode()
    delete = reverse("admin:idp_role_delete", args=(role.pk,))
    assert "1 people lose it" in admin.get(delete).content.decode()
    assert admin.post(delete, {"post": "yes"}).status_code == 302
    assert not mary.roles.exists()
    assert [line.data["role"] for line in SessionEvent.objects.filter(type="role_changed")] == ["operators"] * 2


def test_metadata_of_a_person_is_an_object(admin, mary):
    data = filled(admin, change_url(mary)) | {"app_metadata": '{"plan": "gold"}'}
    data = {name: value for name, value in data.items() if not name.startswith("initial")}
    assert admin.post(change_url(mary), data | {"app_metadata": "[1]"}).status_code == 200
    admin.post(change_url(mary), data)
    mary.refresh_from_db()
    assert (mary.app_metadata, mary.user_metadata) == ({"plan": "gold"}, {})


def test_a_preview_shows_what_somebodys_tokens_would_say_and_issues_none(admin, mary):
    memberships.add_person(memberships.group_of(None, "staff"), mary, actor="admin:a", at=timezone.now())
    mappings = [
        {"claim": "https://ns.example/roles", "from": "groups", "in": ["access_token"]},
        {"claim": "bad", "from": "&groups"},
    ]
    app = make_application("Grafana", claim_mappings=mappings, access_mode="groups", access_groups=["others"])
    api = ResourceServer.objects.create(
        identifier=API, scopes=[{"value": "read:things"}], enforce_policies=True, token_dialect="rfc9068_profile_authz"
    )
    role = Role.objects.create(
        name="operators", permissions=[{"resource_server_identifier": API, "permission_name": "read:things"}]
    )
    roles.give(role, mary, actor="admin:a", at=timezone.now())
    asked = {"person": mary.email, "api": api.pk, "scope": "openid email groups roles read:things"}
    page = admin.post(act_url(app, "preview"), asked)
    documents = {title: json.loads(text) for title, text in page.context["documents"].items()}
    assert documents["ID token"]["groups"] == documents["User info"]["groups"] == ["staff"]
    assert documents["ID token"]["email"] == mary.email
    access = documents["Access token"]
    assert (access["permissions"], access["https://ns.example/roles"]) == (["read:things"], ["staff"])
    assert "They may not use it" in page.content.decode()
    assert page.context["left_out"].keys() == {"bad"}
    assert not ClaimTrouble.objects.exists()
    assert "nobody like that" in admin.post(act_url(app, "preview"), asked | {"person": "nobody"}).content.decode()


def test_a_preview_is_for_those_who_may_look_at_people():
    from django.contrib.auth.models import Permission

    helper = make_user("helper@x.example", is_staff=True)
    for codename in ("change_application", "view_application"):
        helper.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label="idp"))
    app = make_application("Grafana")
    client = browser(make_session(helper))
    assert client.get(act_url(app, "preview")).status_code == 403
    assert act_url(app, "preview") not in client.get(change_url(app)).content.decode()


def test_claims_that_are_left_out_show_on_the_applications_page(admin):
    app = make_application("Grafana")
    ClaimTrouble.objects.create(application=app, claim="roles", reason="cannot be evaluated", first_at=timezone.now())
    page = admin.get(change_url(app)).content.decode()
    assert "1 claim of this application could not be computed" in page
    assert "cannot be evaluated" in page
