"""What pages promise, kept in a real browser: by administrators who remove factors, search and look, and by people who are told no."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from idp.tenants import configuration
from logout_app.delivery.receiver import of_application
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.pages import page_of
from tests.support.second_factors import give_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
MARY = "mary@fabrikamcorp.com"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


def of_tenant(**values: str) -> None:
    tenant = configuration.load_tenant()
    for name, value in values.items():
        setattr(tenant, name, value)
    tenant.save()


def sign_in(page: Page, name: str = MARY) -> None:
    page.goto("/login")
    page.get_by_label("E-mail address or user name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_an_administrator_removes_somebodys_second_factors(chrome: Browser, live_server: Any, boss: SSOSession) -> None:
    mary = make_user()
    give_all(mary)
    make_session(mary)
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(reverse("admin:idp_user_change", args=(mary.pk,)))
        page.get_by_role("link", name="Reset second factors").click()
        expect(page.locator("#content")).to_contain_text("Every session of theirs ends")
        page.get_by_role("button", name="Reset second factors").click()
        expect(page.locator(".messagelist")).to_contain_text("has no second factor any more")
    assert not Authenticator.objects.filter(user=mary).exists()
    assert not SSOSession.objects.filter(user=mary, ended_at=None).exists()
    assert complaints == []


def test_an_application_that_fails_for_minutes_needs_attention(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    app = make_application("Timesheet SaaS", backchannel_logout_uri="https://timesheet.example/bc")
    began = timezone.now() - timedelta(minutes=4)
    LogoutDelivery.objects.create(
        event=LogoutEvent.objects.create(initiator="rp-logout", actor="user"),
        application=app, receiver=of_application(app.pk), client_id=app.client_id, sub="auth0|1", channel="backchannel",
        created_at=began, due_at=timezone.now() + timedelta(minutes=1), attempts=5, last_status=500, last_reason="busy",
    )  # fmt: skip
    with page_of(chrome, live_server, boss) as (page, _):
        page.goto("/admin/")
        expect(page.locator("#content")).to_contain_text("Timesheet SaaS fails for 4")
        page.get_by_role("link", name="Look and send again").click()
        expect(page.locator("#result_list")).to_contain_text("Timesheet SaaS")


def test_the_audit_is_found_by_an_address_and_the_person_form_offers_no_claims(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    mary = make_user()
    with page_of(chrome, live_server) as (page, _):
        sign_in(page)
        expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    with page_of(chrome, live_server, boss) as (page, _):
        page.goto(reverse("admin:sessions_app_sessionevent_changelist"))
        page.get_by_label("Anything").fill(MARY)
        page.get_by_label("Anything").press("Enter")
        expect(page.locator(".audit table")).to_contain_text(mary.user_id)
        page.goto(reverse("admin:idp_user_change", args=(mary.pk,)))
        expect(page.locator("#content form").first).to_be_visible()
        expect(page.locator("[name=claims]")).to_have_count(0)


def test_a_blocked_person_with_the_right_password_reads_why_and_whom_to_ask(chrome: Browser, live_server: Any) -> None:
    make_user(is_active=False)
    of_tenant(support_email="help@fabrikamcorp.com")
    with page_of(chrome, live_server) as (page, _):
        sign_in(page)
        expect(page.get_by_role("alert")).to_contain_text("an administrator has blocked your account")
        contact = page.get_by_role("alert").get_by_role("link", name="help@fabrikamcorp.com")
        expect(contact).to_have_attribute("href", "mailto:help@fabrikamcorp.com")


@pytest.mark.parametrize("path", ["/nowhere", "/v2/logout?client_id=nobody&returnTo=https://evil.example/"])
def test_no_page_is_a_dead_end(chrome: Browser, live_server: Any, path: str) -> None:
    make_user()
    of_tenant(support_url="https://help.fabrikamcorp.com/")
    with page_of(chrome, live_server) as (page, _):
        page.goto(path)
        expect(page.get_by_role("link", name="the support of Curfew")).to_be_visible()
        page.get_by_role("link", name="Start page").click()
        page.get_by_role("link", name="Sign in").click()
        expect(page.get_by_label("Password", exact=True)).to_be_visible()
