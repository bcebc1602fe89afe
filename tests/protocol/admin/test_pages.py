"""Every page of the admin opens, for the people who may open it, and shows no secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import (
    TenantSettings,
    User,
)
from idp.protocol.opaque import digest
from logout_app.models import (
    DeliveryAttempt,
    LogoutDelivery,
    LogoutEvent,
)
from sessions_app.models import (
    AccessToken,
    RefreshTokenFamily,
    SessionEvent,
)
from tests.support import rows
from tests.support.factories import browser, make_session, make_user
from tests.support.rows import SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture
def one_of_each(boss: User) -> dict[type[models.Model], models.Model]:
    return rows.one_of_each()


def url_of(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_list_and_every_row_opens_without_a_secret(
    admin: Client, one_of_each: dict[type[models.Model], models.Model]
) -> None:
    """Pages and str() show ids, never tokens or their digests."""
    for model in django_admin.site._registry:
        response = admin.get(url_of(model, "changelist"), follow=True)
        assert response.status_code == 200, model
        assert digest(SECRET) not in response.content.decode(), model
        row = one_of_each.get(model)
        if row is None:
            continue
        assert digest(SECRET) not in f"{row} {row!r}", model
        page = admin.get(url_of(model, "change", row.pk))
        assert page.status_code == 200, model
        assert digest(SECRET) not in page.content.decode(), model
        assert "client_sha256$" not in page.content.decode(), model
        assert "argon2" not in page.content.decode(), model


def test_every_list_can_be_searched_and_filtered_by_what_it_offers(
    admin: Client, one_of_each: dict[type[models.Model], models.Model]
) -> None:
    for model, page in django_admin.site._registry.items():
        if page.search_fields:
            assert admin.get(url_of(model, "changelist"), {"q": "mary"}, follow=True).status_code == 200, model
    deliveries = url_of(LogoutDelivery, "changelist")
    assert admin.get(deliveries, {"state__exact": "pending"}).status_code == 200
    assert "e=1" not in admin.get(deliveries, {"event__id__exact": "1"}, follow=True).request["QUERY_STRING"]
    for state in ("live", "ended", "overdue"):
        assert admin.get(reverse("admin:sessions_app_ssosession_changelist"), {"state": state}).status_code == 200


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("idp_user", "password__startswith"),
        ("idp_identity", "user__password__startswith"),
        ("sessions_app_ssosession", "user__password__startswith"),
        ("sessions_app_ssosession", "cookie_hash__startswith"),
        ("sessions_app_accesstoken", "token_checksum__startswith"),
        ("idp_application", "client_secret__startswith"),
        ("idp_connection", "sealed_options__contains"),
        ("idp_signingkey", "sealed_private_key__startswith"),
        ("logout_app_logoutdelivery", "application__client_secret__startswith"),
    ],
)
def test_a_list_cannot_be_asked_about_columns_that_it_does_not_offer(admin: Client, model: str, lookup: str) -> None:
    response = admin.get(reverse(f"admin:{model}_changelist"), {lookup: "a"})
    assert response.status_code == 400


@pytest.mark.parametrize("value", ["\0", "a\0b"])
def test_a_filter_that_is_no_text_is_a_bad_request(admin: Client, value: str) -> None:
    assert admin.get(reverse("admin:idp_user_changelist"), {"is_active__exact": value}).status_code == 400
    assert admin.get(reverse("admin:idp_user_changelist"), {"q": value}).status_code == 400


@pytest.mark.parametrize("pk", ["0", "x", "9" * 40, "%00", "1/2"])
def test_a_row_that_is_not_there_leads_back_to_the_start(admin: Client, pk: str) -> None:
    response = admin.get(f"/admin/idp/user/{pk}/change/")
    assert response.status_code in (302, 404)


def test_staff_see_what_their_permissions_say_and_no_figures_without_them(boss: User) -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = browser(make_session(clerk))
    start = client.get(reverse("admin:index")).content.decode()
    assert "live sessions" not in start
    assert client.get(reverse("admin:idp_user_changelist")).status_code == 200
    assert client.get(reverse("admin:sessions_app_ssosession_changelist")).status_code == 403


def test_a_person_without_staff_rights_is_refused_and_nobody_is_sent_to_sign_in() -> None:
    refused = browser(make_session(make_user())).get(reverse("admin:index"), follow=True)
    assert refused.status_code == 403
    anonymous = browser().get(reverse("admin:index"))
    assert anonymous.status_code == 302


def test_the_start_page_tells_four_figures_and_what_needs_attention(
    admin: Client, one_of_each: dict[type[models.Model], models.Model]
) -> None:
    delivery = one_of_each[LogoutDelivery]
    LogoutDelivery.objects.filter(pk=delivery.pk).update(state="dead", finished_at=timezone.now())
    page = admin.get(reverse("admin:index")).content.decode()
    for words in ("live sessions", "signed out today", "median time to signed out", "deliveries waiting"):
        assert words in page
    assert "JWT Debugger never took 1 sign-out" in page
    assert "cannot be told of sign-outs" in page


def test_facts_cannot_be_added_changed_or_deleted(
    admin: Client, one_of_each: dict[type[models.Model], models.Model]
) -> None:
    for model in (SessionEvent, LogoutEvent, LogoutDelivery, DeliveryAttempt, AccessToken, RefreshTokenFamily):
        if model not in django_admin.site._registry:
            continue
        row = one_of_each[model]
        assert admin.get(url_of(model, "add")).status_code == 403
        assert admin.post(url_of(model, "change", row.pk), {}).status_code == 403
        assert admin.post(url_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert model._base_manager.filter(pk=row.pk).exists()


def test_tenant_settings_are_one_row_that_can_be_changed(admin: Client, boss: User) -> None:
    response = admin.get(reverse("admin:idp_tenantsettings_changelist"), follow=True)
    form = {name: value for name, value in response.context["adminform"].form.initial.items() if value is not None}
    form |= {"friendly_name": "Fabrikam", "allowed_logout_urls": "https://a.example/\nhttps://b.example/out"}
    form = {name: value for name, value in form.items() if value is not False}
    assert admin.post(response.redirect_chain[-1][0], form).status_code == 302
    row = TenantSettings.objects.get()
    assert row.friendly_name == "Fabrikam"
    assert row.allowed_logout_urls == ["https://a.example/", "https://b.example/out"]
