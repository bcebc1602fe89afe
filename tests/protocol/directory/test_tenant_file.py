"""Access, claims, roles and people's groups in a tenant file."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from idp.directory import entitlements
from idp.models import Application, Connection, ResourceServer, Role, User
from idp.tenants import apply as tenant
from idp.tenants.reader import TenantFileError
from sessions_app.models import SessionEvent

pytestmark = pytest.mark.django_db
FILE = """
clients:
  - name: Grafana
    callbacks: [https://grafana.example/cb]
    access: {mode: groups, groups: [staff, {connection: acme, name: ops}], loss_signs_out: true}
    claims: [{claim: roles, from: "groups[?starts_with(@, 'grafana-')]", in: [id_token, userinfo]}]
connections:
  - {name: FabrikamAD, strategy: auth0}
  - {name: acme, strategy: okta, options: {domain: acme.okta.com, client_id: 0oa1, email_is_verified: true}}
resourceServers:
  - identifier: "https://api.example.com/"
    scopes: [{value: "read:things"}]
    enforce_policies: true
    token_dialect: rfc9068_profile_authz
roles:
  - name: operators
    description: Who keep it running
    permissions: [{resource_server_identifier: "https://api.example.com/", permission_name: "read:things"}]
    groups: [staff]
users:
  - connection: FabrikamAD
    email: mary@fabrikamcorp.com
    password: correct horse battery staple
    app_metadata: {plan: gold}
    roles: [operators]
    applications: [Grafana]
    groups: [staff, "Всё, что угодно"]
"""


def apply(path: Path, text: str, *, prune: bool = False) -> list[str]:
    file = path / "tenant.yaml"
    file.write_text(text)
    return [str(outcome) for outcome in tenant.apply(file, at=timezone.now(), prune=prune)]


def problems(path: Path, text: str) -> str:
    with pytest.raises(TenantFileError) as error:
        apply(path, text)
    return str(error.value)


def test_a_file_says_who_may_use_what_and_what_it_learns(tmp_path):
    apply(tmp_path, FILE)
    app = Application.objects.get(name="Grafana")
    assert (app.access_mode, app.access_loss_signs_out) == ("groups", True)
    assert app.access_groups == ["staff", {"connection": "acme", "name": "ops"}]
    assert [mapping["claim"] for mapping in app.claim_mappings] == ["roles"]
    api = ResourceServer.objects.get(is_system=False)
    assert (api.enforce_policies, api.token_dialect) == (True, "rfc9068_profile_authz")
    mary, role = User.objects.get(), Role.objects.get()
    assert mary.app_metadata == {"plan": "gold"}
    assert entitlements.load(mary.pk).group_names == ["staff", "Всё, что угодно"]
    assert role.people.get() == mary
    assert mary.assignments.get().application == app
    assert (role.groups, role.permissions[0]["permission_name"]) == (["staff"], "read:things")
    assert Connection.objects.get(name="acme").options["email_is_verified"] is True


def test_twice_is_once(tmp_path):
    apply(tmp_path, FILE)
    lines = SessionEvent.objects.count()
    assert {outcome.split()[0] for outcome in apply(tmp_path, FILE)} == {"unchanged"}
    assert SessionEvent.objects.count() == lines


def test_what_the_file_does_not_give_a_person_is_taken_and_where_it_is_silent_stays(tmp_path):
    apply(tmp_path, FILE)
    apply(tmp_path, FILE[: FILE.index("    roles: [operators]")])
    mary = User.objects.get()
    assert entitlements.load(mary.pk).group_names
    assert mary.roles.exists()
    assert mary.assignments.exists()
    text = FILE.replace("roles: [operators]", "roles: []").replace(
        'groups: [staff, "Всё, что угодно"]', "groups: [new]"
    )
    apply(tmp_path, text)
    assert entitlements.load(mary.pk).group_names == ["new"]
    assert not mary.roles.exists()


def test_prune_deletes_roles_that_the_file_does_not_name(tmp_path):
    Role.objects.create(name="old")
    assert "removed   role old" in apply(tmp_path, FILE, prune=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mode: groups", "mode: friends", "access.mode: must be one of everyone, groups, assigned"),
        ("groups: [staff, {connection: acme, name: ops}], ", "", "access.groups: it needs at least one group"),
        ("{connection: acme, name: ops}", "{connection: acme}", "access.groups[1]: a group's name"),
        ("loss_signs_out: true", "loss_signs_out: often", "access.loss_signs_out: must be true or false"),
        ("claim: roles", "claim: sub", "clients[0].claims[0]: it is reserved"),
        ("claim: roles", "claims: roles", "clients[0].claims[0]: it has no key claims"),
        (
            'read:things"}]\n    groups',
            'write:things"}]\n    groups',
            "roles[0].permissions[0]: https://api.example.com/ has no scope",
        ),
        ("roles: [operators]", "roles: [kings]", "users[0].roles[0]: there is no role kings"),
        ("applications: [Grafana]", "applications: [Wiki]", "users[0].applications[0]: there is no client Wiki"),
        ("{plan: gold}", "[gold]", "users[0].app_metadata: a mapping is needed"),
        ("email_is_verified: true", "email_is_verified: yes please", "email_is_verified: must be true or false"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, old, new, said):
    assert old in FILE
    assert said in problems(tmp_path, FILE.replace(old, new))


def test_groups_without_a_mode_mean_groups(tmp_path):
    apply(tmp_path, FILE.replace("mode: groups, ", ""))
    assert Application.objects.get(name="Grafana").access_mode == "groups"


@pytest.mark.parametrize(
    ("patch", "left"),
    [
        ("{colour: blue}", {"plan": "gold", "colour": "blue"}),
        ("{plan: {name: silver}}", {"plan": {"name": "silver"}}),
        ("{plan: null, colour: blue}", {"colour": "blue"}),
        ("{}", {}),
    ],
)
def test_metadata_are_merged_as_auth0_merges_them(tmp_path, patch, left):
    apply(tmp_path, FILE)
    apply(tmp_path, FILE.replace("{plan: gold}", patch))
    assert User.objects.get().app_metadata == left
