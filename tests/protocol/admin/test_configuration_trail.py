"""Settings of the tenant and applications: who may change them, what is written down, and that nobody undoes another's change."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.connections import trust
from idp.models import Application, Connection, ResourceServer, TenantSettings
from idp.tenants import apply as tenant
from idp.tenants import configuration, rules, trail
from sessions_app.models import SessionEvent
from tests.protocol.admin.conftest import clerk_with
from tests.protocol.admin.test_connections import change_url, shown
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.unrendered import form_of, unrendered

pytestmark = pytest.mark.django_db
# Setting -> what is typed: each but looks, as the page is one form.
TYPED: dict[str, Any] = {
    "allowed_logout_urls": "https://evil.example/",
    "session_lifetime_in_minutes": 500_000,
    "idle_session_lifetime_in_minutes": 500_000,
    "persistent_session_cookie": None,
    "max_sessions_per_user": 9,
    "remember_second_factor_days": 365,
    "oidc_logout_prompt_enabled": None,
    "v2_logout_confirmation": "cross_site",
    "profile": "ipsie",
    "require_pkce": "on",
    "require_pushed_authorization_requests": "on",
    "session_management": "on",
    "dynamic_client_registration": "on",
    "sign_out_timeout": 9,
    "password_change_ends_other_sessions": None,
    "security_mails": "off",
    "require_mfa": "on",
    "require_mfa_groups": "admins",
    "history_retention_days": 1,
    "legal_hold": "Case 7",
}


def tenant_url() -> str:
    return reverse("admin:idp_tenantsettings_change", args=(configuration.load_tenant().pk,))


def application_url(application: Application) -> str:
    return reverse("admin:idp_application_change", args=(application.pk,))


def posted(client: Client, url: str, **typed: Any) -> Any:
    """The form of the page with some fields typed anew; None unticks a box."""
    values = {
        name: "\n".join(map(str, value)) if name.endswith("urls") else value
        for name, value in shown(client, url).items()
    }
    return client.post(url, {name: value for name, value in {**values, **typed}.items() if value is not None})


def lines(kind: str) -> list[tuple[str, str, list[dict[str, str]]]]:
    rows = SessionEvent.objects.filter(type=kind).order_by("pk")
    return [(row.client_id, row.actor, row.data["changes"]) for row in rows]


# --- the tenant's settings ---------------------------------------------------------------------------------------------
def test_the_table_has_every_setting_that_is_guarded() -> None:
    elsewhere = {"mail_templates"}  # has pages of its own: tests/protocol/admin/test_looks.py
    assert set(TYPED) == set(trail.GUARDED) - elsewhere


@pytest.mark.parametrize("field", TYPED)
def test_who_may_change_settings_changes_nothing_that_decides_about_sessions(field: str) -> None:
    clerk = clerk_with("view_tenantsettings", "change_tenantsettings")
    before = TenantSettings.objects.values().get(pk=configuration.load_tenant().pk)
    answer = posted(clerk, tenant_url(), **{field: TYPED[field]})
    assert f"Only a superuser may change this ({field})" in str(answer.context["adminform"].form.errors)
    assert TenantSettings.objects.values().get() == before
    assert lines("tenant_changed") == []


def test_who_may_change_settings_changes_looks_and_it_is_written_down() -> None:
    clerk = clerk_with("view_tenantsettings", "change_tenantsettings")
    assert posted(clerk, tenant_url(), friendly_name="Fabrikam").status_code == 302
    ((_, actor, changes),) = lines("tenant_changed")
    assert actor.startswith("admin:")
    assert changes == [{"what": "friendly_name", "from": "Curfew", "to": "Fabrikam"}]


def test_a_superuser_proves_who_they_are_before_history_is_shortened(tired_admin: Client, admin: Client) -> None:
    answer = posted(tired_admin, tenant_url(), history_retention_days=1)
    assert "Prove who you are" in answer.content.decode()
    assert configuration.load_tenant().history_retention_days == 90
    assert posted(admin, tenant_url(), **TYPED).status_code == 302
    ((_, _, changes),) = lines("tenant_changed")
    assert {change["what"] for change in changes} == set(TYPED)
    assert {"what": "history_retention_days", "from": "90", "to": "1"} in changes
    assert {"what": "dynamic_client_registration", "from": "off", "to": "on"} in changes
    assert {"what": "allowed_logout_urls", "from": "nothing", "to": '["https://evil.example/"]'} in changes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field, bounds in rules.NUMBERS.items()
        for value in (bounds.least - 1, 99_999_999_999_999, 2_147_483_647)
    ],
)
def test_absurd_numbers_are_refused_in_the_admin_and_in_the_file(
    admin: Client, tmp_path: Path, field: str, value: int
) -> None:
    with unrendered():
        answer = posted(admin, tenant_url(), **{field: value})
    assert set(form_of(answer).errors) == {field}
    path = tmp_path / "tenant.yaml"
    path.write_text(json.dumps({"tenant": {field: value}}))
    with pytest.raises(tenant.TenantFileError, match=field):
        tenant.apply(path, at=timezone.now())


def test_absurd_lifetimes_of_an_api_are_refused_in_the_admin_and_in_the_file(admin: Client, tmp_path: Path) -> None:
    api = ResourceServer.objects.create(identifier="https://api.example/")
    url = reverse("admin:idp_resourceserver_change", args=(api.pk,))
    path = tmp_path / "tenant.yaml"
    for value in (0, 2_000_000_001):
        answer = admin.post(url, shown(admin, url) | {"scopes": "", "token_lifetime": value})
        assert set(answer.context["adminform"].form.errors) == {"token_lifetime"}
        path.write_text(json.dumps({"resourceServers": [{"identifier": api.identifier, "token_lifetime": value}]}))
        with pytest.raises(tenant.TenantFileError, match="token_lifetime"):
            tenant.apply(path, at=timezone.now())


# --- the tenant file ------------------------------------------------------------------------------------------------------
def test_a_file_writes_down_what_it_changed_of_settings_and_applications(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"

    def apply(lifetime: int, secret: str, callback: str) -> None:
        client = {"name": "Shop", "client_id": "shop", "client_secret": secret, "callbacks": [callback]}
        path.write_text(json.dumps({"tenant": {"session_lifetime": lifetime}, "clients": [client]}))
        tenant.apply(path, at=timezone.now(), prune=True)

    apply(168, "one-secret", "https://shop.example/cb")
    (made,) = lines("application_changed")
    assert made[:2] == ("shop", "system")
    assert {"what": "application", "from": "nothing", "to": "Shop, of the kind regular_web"} in made[2]
    assert {"what": "client_secret", "from": "nothing", "to": "a secret"} in made[2]
    assert lines("tenant_changed") == []
    apply(168, "one-secret", "https://shop.example/cb")
    assert lines("application_changed") == [made]
    apply(24, "another-secret", "https://new.example/cb")
    assert lines("tenant_changed") == [
        ("", "system", [{"what": "session_lifetime_in_minutes", "from": "10080", "to": "1440"}])
    ]
    assert lines("application_changed")[1:] == [
        (
            "shop",
            "system",
            [
                {"what": "redirect_uris", "from": "https://shop.example/cb", "to": "https://new.example/cb"},
                {"what": "client_secret", "from": "a secret", "to": "another secret"},
            ],
        )
    ]
    path.write_text('{"clients": []}')
    tenant.apply(path, at=timezone.now(), prune=True)
    assert lines("application_changed")[-1] == (
        "shop",
        "system",
        [{"what": "application", "from": "Shop, of the kind regular_web", "to": "nothing"}],
    )


def test_a_file_writes_down_which_applications_may_use_a_connection(tmp_path: Path) -> None:
    make_application("Shop")
    path = tmp_path / "tenant.yaml"
    entry = {"name": "Users", "strategy": "auth0"}
    for more in ({}, {"enabled_clients": ["shop"]}, {"enabled_clients": ["shop"]}):
        path.write_text(json.dumps({"connections": [entry | more]}))
        tenant.apply(path, at=timezone.now())
    _, narrowed = lines("connection_changed")
    assert narrowed[2] == [
        {"what": "enabled_for_all", "from": "on", "to": "off"},
        {"what": "enabled_clients", "from": "nothing", "to": "shop"},
    ]


# --- applications ---------------------------------------------------------------------------------------------------------
def test_the_admin_writes_down_what_it_changed_of_an_application(admin: Client) -> None:
    application = make_application("Shop")
    typed = {"access_token_lifetime": 60, "redirect_uris": "https://evil.example/cb"}
    assert posted(admin, application_url(application), **typed).status_code == 302
    assert admin.post(reverse("admin:idp_application_act", args=(application.pk, "rotate-secret"))).status_code == 200
    assert (
        admin.post(reverse("admin:idp_application_delete", args=(application.pk,)), {"post": "yes"}).status_code == 302
    )
    changed, rotated, deleted = lines("application_changed")
    assert changed[0] == "shop"
    assert changed[1].startswith("admin:")
    assert {"what": "access_token_lifetime", "from": "7200", "to": "60"} in changed[2]
    assert {
        "what": "redirect_uris",
        "from": "https://shop.example/callback",
        "to": "https://evil.example/cb",
    } in changed[2]
    assert rotated[2] == [{"what": "client_secret", "from": "a secret", "to": "another secret"}]
    assert deleted[2] == [{"what": "application", "from": "Shop, of the kind regular_web", "to": "nothing"}]
    assert application.raw_secret not in json.dumps([changed, rotated, deleted])  # type: ignore[attr-defined]


def test_what_is_saved_as_it_was_writes_nothing_down(admin: Client) -> None:
    application = make_application(
        "Shop", post_logout_redirect_uris="", backchannel_logout_uri="https://shop.example/out"
    )
    assert posted(admin, application_url(application)).status_code == 302
    assert posted(admin, tenant_url()).status_code == 302
    assert lines("application_changed") == lines("tenant_changed") == []


def test_an_application_that_manages_its_registration_is_written_down(client: Client) -> None:
    row = configuration.load_tenant()
    row.dynamic_client_registration = True
    row.save()
    document: dict[str, Any] = {"redirect_uris": ["https://a.example/cb"], "client_name": "A"}
    made = client.post("/oidc/register", json.dumps(document), content_type="application/json").json()
    path, bearer = (
        f"/oidc/register/{made['client_id']}",
        {"Authorization": f"Bearer {made['registration_access_token']}"},
    )
    new = json.dumps(document | {"client_id": made["client_id"], "redirect_uris": ["https://b.example/cb"]})
    assert client.put(path, new, content_type="application/json", headers=bearer).status_code == 200
    assert client.delete(path, headers=bearer).status_code == 204
    first, replaced, removed = lines("application_changed")
    assert {(line[0], line[1]) for line in (first, replaced, removed)} == {
        (made["client_id"], f"app:{made['client_id']}")
    }
    assert {"what": "redirect_uris", "from": "https://a.example/cb", "to": "https://b.example/cb"} in replaced[2]
    assert removed[2][0]["to"] == "nothing"
    assert {row.ip for row in SessionEvent.objects.filter(type="application_changed")} == {"127.0.0.1"}


# --- connections ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("guarded", [False, True])
def test_the_admin_writes_down_which_applications_may_use_a_connection(clerk: Client, guarded: bool) -> None:
    """It lets nobody in who could not come before, so that it is left to who may change connections."""
    application = make_application("Shop")
    acme = make_connection("Acme", "okta", options={"domain": "a.okta.com", "client_id": "0"})
    if guarded:
        make_user("boss@fabrikamcorp.com", acme, is_superuser=True)
    assert posted(clerk, change_url(acme), enabled_for_all=None, enabled_clients=[application.pk]).status_code == 302
    ((_, _, changes),) = lines("connection_changed")
    assert changes == [
        {"what": "enabled_for_all", "from": "on", "to": "off"},
        {"what": "enabled_clients", "from": "nothing", "to": "shop"},
    ]


# --- two at once -----------------------------------------------------------------------------------------------------------
def meanwhile(change: Callable[[], Any]) -> tuple[Callable[[], None], threading.Thread]:
    """Another server's change, begun when `start()` is called: it has half a second before the form goes on."""
    done = threading.Event()

    def run() -> None:
        try:
            while True:
                try:
                    with transaction.atomic():
                        change()
                    return
                except OperationalError:  # it waited for as long as it waits
                    continue
        finally:
            done.set()
            connection.close()

    thread = threading.Thread(target=run)

    def start() -> None:
        if not thread.ident:
            thread.start()
            done.wait(0.5)

    return start, thread


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_saved_at_the_same_time_undoes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_connection("Acme", "okta", options={"domain": "old.okta.com", "client_id": "0"})
    clerk = clerk_with("view_connection", "change_connection")
    new = {"domain": "new.okta.com", "client_id": "0"}
    start, thread = meanwhile(lambda: Connection.objects.filter(pk=acme.pk).update(options=new, enabled=False))
    differences = trust.differences

    def slow(change: trust.ConnectionChange) -> list[Any]:
        start()
        return differences(change)

    monkeypatch.setattr(trust, "differences", slow)
    assert posted(clerk, change_url(acme), display_name="Acme!").status_code == 302
    thread.join(30)
    row = Connection.objects.get(pk=acme.pk)
    assert (row.display_name, row.options, row.enabled) == ("Acme!", new, False)


@pytest.mark.django_db(transaction=True)
def test_looks_that_are_saved_at_the_same_time_leave_the_other_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    boss = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    url = tenant_url()
    start, thread = meanwhile(lambda: TenantSettings.objects.update(history_retention_days=3000))
    problems = rules.problems

    def slow(row: TenantSettings) -> Any:
        start() if row.friendly_name == "Fabrikam" else None
        return problems(row)

    monkeypatch.setattr(rules, "problems", slow)
    assert posted(boss, url, friendly_name="Fabrikam").status_code == 302
    thread.join(30)
    row = TenantSettings.objects.get()
    assert (row.friendly_name, row.history_retention_days) == ("Fabrikam", 3000)


@pytest.mark.django_db(transaction=True)
def test_a_page_that_was_opened_before_does_not_open_a_connection_again() -> None:
    acme = make_connection("Acme", "okta", options={"domain": "old.okta.com", "client_id": "0"})
    clerk = clerk_with("view_connection", "change_connection")
    values = shown(clerk, change_url(acme))
    Connection.objects.filter(pk=acme.pk).update(enabled=False)
    assert clerk.post(change_url(acme), values | {"display_name": "Acme!"}).status_code == 302
    assert not Connection.objects.get(pk=acme.pk).enabled
