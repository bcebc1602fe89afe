"""Roles in the console: what each may open and do, by every page and every act that there is, and that nobody becomes more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.admin.support import ActsAdmin
from idp.crypto import keys
from idp.models import Application, Connection, Role, SigningKey, TenantSettings, User
from idp.people import console_roles, invitations
from idp.people.console_roles import AUDITOR, CONFIGURATOR, OPERATOR, ROLES, ConsoleRole
from idp.tenants import configuration
from logout_app.models import LogoutDelivery
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.admin.conftest import clerk_with
from tests.protocol.admin.scene import came_of, end, refresh_tokens, scene
from tests.support.factories import browser, make_connection, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
EACH = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.group)
UNPRIVILEGED = pytest.mark.parametrize("role", [OPERATOR, CONFIGURATOR], ids=lambda role: role.group)

TASKS = {
    OPERATOR: "Overview People Applications Connections Sessions Sign-outs Audit Settings",
    CONFIGURATOR: "Overview Applications Connections Settings",
    AUDITOR: "Overview People Applications Connections Sessions Sign-outs Audit Settings",
}
# table.act of what a role may press. Everything else that there is, and that will be, is refused.
ACTS = {
    OPERATOR: {
        *(
            "user.sign-out",
            "user.require-sign-in",
            "user.reset-factors",
            "user.reset-mail",
            "user.block",
            "user.unblock",
        ),
        *("ssosession.end", "ssosession.require-sign-in", "refreshtokenfamily.revoke"),
        *("invitation.resend", "invitation.withdraw"),
        *("logoutdelivery.redeliver", "application.redeliver", "connection.require-sign-in"),
    },
    CONFIGURATOR: {
        *("application.preflight", "application.redeliver", "application.test-sign-out"),
        "application.import-metadata",
        *("connection.try", "connection.try-password", "connection.check-signals", "connection.test-provisioning"),
        *("connection.test", "connection.test-revocation", "connection.enable", "connection.disable"),
        *("connection.connect-signals", "connection.test-signals", "connection.disconnect-signals"),
        *("connection.provision", "connection.provision-off", "connection.provision-how"),
        *("connection.provision-token", "connection.provision-remove-token"),
    },
    AUDITOR: set(),
}
FORMS = {
    OPERATOR: {"add invitation"},
    CONFIGURATOR: {
        *(
            f"{act} {model}"
            for act in ("add", "change", "delete")
            for model in ("application", "connection", "resourceserver")
        ),
        "change tenantsettings",
    },
    AUDITOR: set(),
}


@dataclass
class Someone:
    person: User
    client: Client


def with_role(role: ConsoleRole, email: str = "") -> Someone:
    person = make_user(email or f"{role.group.lower()}@elsewhere.example", is_staff=True)
    person.groups.add(Group.objects.get(name=role.group))
    return Someone(person, browser(make_session(person)))


@pytest.fixture
def rows() -> dict[type[models.Model], models.Model]:
    """One of each kind on which something can be done."""
    found = scene()
    end(found.ended)
    came_of(found.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    session, family = make_session(found.mary, found.debugger), refresh_tokens(found.mary, found.debugger, offline=True)
    acme = make_connection("acme", "okta")
    dead = LogoutDelivery.objects.filter(application=found.sharepoint).first()
    tenant, identity = configuration.load_tenant(), found.mary.identities.get()
    nina = invitations.invite("nina@fabrikamcorp.com", acme, actor="system", at=timezone.now())
    rows = [found.mary, session, family, acme, found.sharepoint, tenant, identity, keys_row(), dead, nina]
    return {type(row): row for row in rows if row is not None}


def keys_row() -> SigningKey:
    keys.ensure()
    return SigningKey.objects.order_by("pk")[0]


def url(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


# --- what is shown -----------------------------------------------------------------------------------------------------
@EACH
def test_the_navigation_shows_a_role_what_it_may_open_and_nothing_else(role: ConsoleRole, rows: Any) -> None:
    client = with_role(role).client
    page = client.get(reverse("admin:index"))
    tasks = page.context["tasks"]
    assert [task.name for task in tasks] == TASKS[role].split()
    shown = {place.url for task in tasks for place in task.places}
    for place in sorted(shown):
        assert client.get(place, follow=True).status_code == 200, place
    for model in django_admin.site._registry:
        table = url(model, "changelist")
        assert client.get(table, follow=True).status_code == (200 if table in shown else 403), table
    evidence = reverse("admin:evidence")
    assert client.get(evidence).status_code == (200 if evidence in shown else 403)


@EACH
def test_a_role_opens_the_rows_of_the_tables_that_it_sees_and_no_others(role: ConsoleRole, rows: Any) -> None:
    client = with_role(role).client
    for model, row in rows.items():
        may = f"{model._meta.app_label}.view_{model._meta.model_name}" in role.permissions
        machinery = getattr(django_admin.site._registry[model], "menu_rank", 1) == 2
        for page in ("change", "history"):
            status = client.get(url(model, page, row.pk)).status_code
            assert status == (200 if may and not machinery else 403), (model, page)


@EACH
def test_the_overview_and_the_pages_of_rows_link_nowhere_that_is_refused(role: ConsoleRole, rows: Any) -> None:
    client, asked, refused = with_role(role).client, dict[str, int](), set()
    pages = [reverse("admin:index"), *(url(model, "change", row.pk) for model, row in rows.items())]
    for page in pages:
        answer = client.get(page)
        if answer.status_code != 200:
            continue
        for link in set(re.findall(r'href="(/admin/[^"#]*)"', answer.content.decode())):
            if link not in asked:  # those of the menu are on every page
                asked[link] = client.get(link.replace("&amp;", "&")).status_code
            if asked[link] == 403:
                refused.add((page, link))
    assert refused == set()


# --- what is done ------------------------------------------------------------------------------------------------------
@EACH
def test_a_role_presses_its_own_acts_and_every_other_is_refused(role: ConsoleRole, rows: Any) -> None:
    client, allowed, known = with_role(role).client, set(), set()
    for model, row in rows.items():
        page = django_admin.site._registry[model]
        if not isinstance(page, ActsAdmin):
            continue
        for act in page.get_acts():
            known.add(f"{model._meta.model_name}.{act.name}")
            where = url(model, "act", row.pk, act.name)
            if client.get(where).status_code != 403:
                allowed.add(f"{model._meta.model_name}.{act.name}")
            else:
                assert client.post(where, {"post": "yes"}).status_code == 403, where
    assert allowed == ACTS[role]
    assert allowed < known


@EACH
def test_a_role_posts_its_own_forms_and_every_other_is_refused(role: ConsoleRole, rows: Any) -> None:
    client, allowed = with_role(role).client, set()
    for model in django_admin.site._registry:
        key = rows[model].pk if model in rows else 1
        for act, where in (
            ("add", url(model, "add")),
            ("change", url(model, "change", key)),
            ("delete", url(model, "delete", key)),
        ):
            asks = client.get(where) if act == "delete" else client.post(where, {})
            if asks.status_code != 403:
                allowed.add(f"{act} {model._meta.model_name}")
            else:
                assert client.post(where, {"post": "yes"}).status_code == 403, where
    assert allowed == FORMS[role]


@EACH
def test_an_act_on_the_selected_of_a_list_is_refused_too(role: ConsoleRole, rows: Any) -> None:
    client = with_role(role).client
    dead = rows[LogoutDelivery]
    data = {"action": "redeliver_selected", "_selected_action": [dead.pk]}
    client.post(url(LogoutDelivery, "changelist"), data)
    dead.refresh_from_db()
    assert (dead.state == "dead") == (role is not OPERATOR)
    client.post(
        url(User, "changelist"), {"action": "delete_selected", "_selected_action": [rows[User].pk], "post": "yes"}
    )
    assert User.objects.filter(pk=rows[User].pk).exists()


def test_an_operator_ends_blocks_and_resets_and_it_is_written_down(rows: Any) -> None:
    operator, mary, session = with_role(OPERATOR), rows[User], rows[SSOSession]
    assert operator.client.post(url(SSOSession, "act", session.pk, "end")).status_code == 302
    session.refresh_from_db()
    assert session.ended_at is not None
    for act in ("reset-mail", "sign-out", "block"):
        assert operator.client.post(url(User, "act", mary.pk, act)).status_code == 302, act
    mary.refresh_from_db()
    assert not mary.is_active
    lines = SessionEvent.objects.filter(type="administered", actor=f"admin:{operator.person.user_id}").order_by("pk")
    assert [line.data["act"] for line in lines] == [
        "End this session",
        "Send reset mail",
        "End everything",
        "Block this person",
    ]
    assert {line.sub for line in lines} == {mary.user_id}


# --- nobody becomes more -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("whose", ["superuser", "operator", "oneself"])
def test_an_operator_touches_nobody_with_powers(boss: User, whose: str) -> None:
    operator = with_role(OPERATOR)
    person = {
        "superuser": boss,
        "operator": with_role(AUDITOR).person,
        "oneself": operator.person,
    }[whose]
    session = make_session(person)
    for act in ("sign-out", "require-sign-in", "reset-factors", "reset-mail", "password", "block", "unblock", "access"):
        assert operator.client.post(url(User, "act", person.pk, act)).status_code == 403, act
    for act in ("end", "require-sign-in"):
        assert operator.client.post(url(SSOSession, "act", session.pk, act)).status_code == 403, act
    session.refresh_from_db()
    assert session.ended_at is None


@EACH
def test_nobody_gives_a_role_but_a_superuser(role: ConsoleRole) -> None:
    someone, other = with_role(role), make_user()
    for person in (someone.person, other):
        data = {"roles": ["Operators", "Superusers"]}
        assert someone.client.post(url(User, "act", person.pk, "console-role"), data).status_code == 403
        powers = {"is_superuser": "on", "is_staff": "on", "groups": [Group.objects.get(name="Operators").pk]}
        assert someone.client.post(url(User, "change", person.pk), {"email": person.email, **powers}).status_code == 403
        person.refresh_from_db()
        assert not person.is_superuser
    assert someone.client.post(url(Group, "change", Group.objects.get(name=role.group).pk), {}).status_code == 403
    assert someone.client.post(url(Group, "add"), {"name": "More"}).status_code == 403
    assert someone.client.post(url(Role, "add"), {"name": "admin"}).status_code == 403


def test_whoever_holds_the_raw_permission_puts_no_more_into_their_own_group(db: None) -> None:
    own = Group.objects.create(name="Helpers")
    clerk = clerk_with("view_group", "change_group", "add_group", "delete_group")
    permission = Permission.objects.get(codename="change_user")
    data = {"name": "Helpers", "permissions": [permission.pk]}
    assert clerk.post(reverse("admin:auth_group_change", args=(own.pk,)), data).status_code == 403
    assert clerk.get(reverse("admin:auth_group_changelist")).status_code == 403
    assert not own.permissions.exists()


def test_raw_permissions_stand_behind_advanced_and_only_a_superuser_sees_them(admin: Client, rows: Any) -> None:
    page = url(User, "change", rows[User].pk)
    assert "Advanced: raw permissions" in admin.get(page).content.decode()
    for role in (OPERATOR, AUDITOR):
        text = with_role(role).client.get(page).content.decode()
        assert "Advanced" not in text
        assert "User permissions" not in text


@UNPRIVILEGED
def test_nobody_reads_a_client_secret_or_adds_a_key_to_an_application(role: ConsoleRole, rows: Any) -> None:
    client, application = with_role(role).client, rows[Application]
    before = Application.objects.values("client_secret", "jwks", "jwks_uri", "token_endpoint_auth_method").get(
        pk=application.pk
    )
    assert client.post(url(Application, "act", application.pk, "rotate-secret")).status_code == 403
    page = client.get(url(Application, "change", application.pk))
    assert application.client_secret not in page.content.decode()
    form = page.context["adminform"].form
    typed = {name: value for name, value in form.initial.items() if value not in (None, False, [], {})}
    evil = {
        "jwks": '{"keys": [{"kty": "EC"}]}',
        "jwks_uri": "https://evil.example/keys",
        "token_endpoint_auth_method": "none",
    }
    client.post(url(Application, "change", application.pk), {**typed, **evil, "client_secret": "known"})
    assert Application.objects.values(*before).get(pk=application.pk) == before


def test_a_configurator_saves_the_form_of_an_application_without_its_credentials(rows: Any) -> None:
    client, application = with_role(CONFIGURATOR).client, rows[Application]
    where = url(Application, "change", application.pk)
    form = client.get(where).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in typed.items() if value not in (None, False, "")}
    answer = client.post(where, {**typed, "name": "SharePoint Online"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    application.refresh_from_db()
    assert application.name == "SharePoint Online"


def test_a_configurator_changes_no_connection_by_which_people_with_powers_sign_in(boss: User) -> None:
    client, theirs = with_role(CONFIGURATOR).client, boss.identities.get().connection
    for act in ("disable", "provision", "provision-token"):
        assert client.post(url(Connection, "act", theirs.pk, act)).status_code == 403, act
    assert client.post(url(Connection, "delete", theirs.pk), {"post": "yes"}).status_code == 403


def test_a_configurator_changes_looks_and_no_lifetimes(db: None) -> None:
    client, tenant = with_role(CONFIGURATOR).client, configuration.load_tenant()
    where = url(TenantSettings, "change", tenant.pk)
    form = client.get(where).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in typed.items() if value not in (None, False)}
    assert client.post(where, {**typed, "friendly_name": "Contoso"}).status_code == 302
    answer = client.post(where, {**typed, "session_lifetime_in_minutes": "99999"})
    assert "Only a superuser may change this" in answer.content.decode()


# --- giving --------------------------------------------------------------------------------------------------------------
def test_a_superuser_gives_and_takes_roles_with_a_fresh_proof_and_it_is_written_down(
    admin: Client, tired_admin: Client, boss: User
) -> None:
    mary = make_user()
    where = url(User, "act", mary.pk, "console-role")
    asked = tired_admin.post(where, {"roles": ["Operators"]})
    assert asked.status_code == 302
    assert "/admin/idp/user/" not in asked["Location"].split("?")[0]
    assert console_roles.of(mary) == []
    admin.post(where, {"roles": ["Operators", "Auditors"]})
    mary.refresh_from_db()
    assert mary.is_staff
    assert not mary.is_superuser
    assert console_roles.of(mary) == [OPERATOR, AUDITOR]
    text = admin.get(url(User, "change", mary.pk)).content.decode()
    assert "End sessions, block" not in text
    assert "Operators: end sessions" in text
    admin.post(where, {})
    mary.refresh_from_db()
    assert not mary.is_staff
    assert browser(make_session(mary)).get(reverse("admin:index")).status_code in (302, 403)
    first = SessionEvent.objects.filter(type="powers_changed").earliest("pk")
    assert (first.sub, first.actor) == (mary.user_id, f"admin:{boss.user_id}")
    what = "roles and groups of administrators"
    assert {"what": what, "from": "nothing", "to": "Auditors, Operators"} in first.data["changes"]


def test_nobody_changes_their_own_role(admin: Client, boss: User) -> None:
    answer = admin.post(url(User, "act", boss.pk, "console-role"), {"roles": []}, follow=True)
    assert "somebody else must change your own role" in answer.content.decode()
    boss.refresh_from_db()
    assert boss.is_superuser


def test_raw_permissions_that_a_superuser_changes_are_written_down(admin: Client) -> None:
    mary = make_user()
    where = url(User, "change", mary.pk)
    form = admin.get(where).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in typed.items() if value not in (None, False, "")}
    permission = Permission.objects.get(codename="view_user")
    data = {**typed, "user_permissions": [permission.pk], "is_staff": "on", "nickname": "M"}
    assert admin.post(where, data).status_code == 302
    line = SessionEvent.objects.get(type="powers_changed")
    assert {"what": "raw permissions", "from": "nothing", "to": "idp.view_user"} in line.data["changes"]
    assert SessionEvent.objects.get(type="person_edited").data == {"attributes": ["nickname"]}


def test_a_role_is_what_this_release_says_whatever_was_changed_in_its_group(admin: Client) -> None:
    group = Group.objects.get(name="Auditors")
    assert admin.post(url(Group, "change", group.pk), {"name": "Auditors"}).status_code == 403
    assert admin.post(url(Group, "delete", group.pk), {"post": "yes"}).status_code == 403
    group.permissions.add(Permission.objects.get(codename="change_user"))
    group.permissions.remove(Permission.objects.get(codename="view_user"))
    call_command("migrate", verbosity=0)
    held = {".".join(pair) for pair in group.permissions.values_list("content_type__app_label", "codename")}
    assert held == AUDITOR.permissions


def test_every_permission_of_a_role_exists_and_none_changes_people(db: None) -> None:
    known = {".".join(pair) for pair in Permission.objects.values_list("content_type__app_label", "codename")}
    for role in ROLES:
        assert role.permissions <= known
        assert not {f"{act}_user" for act in ("add", "change", "delete")} & {
            name.split(".")[1] for name in role.permissions
        }
