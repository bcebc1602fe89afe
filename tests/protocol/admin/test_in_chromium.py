"""The admin in a real browser: nothing breaks the content security policy, nothing needs JavaScript, nothing is too wide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser

from idp.crypto import keys
from idp.models import Application, User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryAttempt, LogoutDelivery
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.looking import shoot
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


@pytest.fixture
def paths(boss: SSOSession) -> dict[str, str]:
    """A small installation with something to see, and the admin's pages of it."""
    keys.ensure()
    now = timezone.now()
    apps = [
        make_application(name, **fields)
        for name, fields in (
            ("JWT Debugger", {"backchannel_logout_uri": "https://jwt.example/out"}),
            ("SharePoint Intranet", {"backchannel_logout_uri": "https://sharepoint.example/out"}),
            ("Timesheet SaaS", {"backchannel_logout_uri": "https://timesheet.example/out"}),
            ("Old Wiki", {}),
        )
    ]
    okta = make_connection("okta-main", "okta")
    mary = make_user()
    live = make_session(mary, *apps, initial_ip="203.0.113.7", initial_user_agent="Mozilla/5.0 (X11; Linux x86_64)")
    ended = make_session(mary, *apps[:3], created_at=now - timedelta(hours=3), auth_time=now - timedelta(hours=3))
    end_sessions(
        Selection.session(ended.pk), initiator=Initiator.RP_LOGOUT, actor=f"app:{apps[0].client_id}", at=now,
        offline_tokens=False,
    )  # fmt: skip
    for delivery, (state, status, reason) in zip(
        LogoutDelivery.objects.order_by("pk"),
        [("delivered", 204, ""), ("dead", 503, "HTTP 503: busy"), ("pending", None, "")],
        strict=True,
    ):
        if state != "pending":
            DeliveryAttempt.objects.create(
                delivery=delivery,
                number=1,
                started_at=now,
                duration_ms=180,
                status=status,
                outcome=state,
                reason=reason,
            )
        LogoutDelivery.objects.filter(pk=delivery.pk).update(
            state=state,
            attempts=0 if state == "pending" else 1,
            last_status=status,
            last_reason=reason,
            finished_at=None if state == "pending" else now + timedelta(seconds=0.4),
        )
    refused = LogoutDelivery.objects.get(state="dead")
    return {
        "start": reverse("admin:index"),
        "people": reverse("admin:idp_user_changelist"),
        "person": reverse("admin:idp_user_change", args=(mary.pk,)),
        "person-add": reverse("admin:idp_user_add"),
        "person-block": reverse("admin:idp_user_act", args=(mary.pk, "block")),
        "person-delete": reverse("admin:idp_user_delete", args=(mary.pk,)),
        "applications": reverse("admin:idp_application_changelist"),
        "application": reverse("admin:idp_application_change", args=(refused.application_id,)),
        "application-add": reverse("admin:idp_application_add"),
        "application-add-web": reverse("admin:idp_application_add") + "?kind=web",
        "application-add-all": reverse("admin:idp_application_add") + "?kind=all",
        "application-delete": reverse("admin:idp_application_delete", args=(apps[0].pk,)),
        "connection": reverse("admin:idp_connection_change", args=(make_connection().pk,)),
        "connection-okta": reverse("admin:idp_connection_change", args=(okta.pk,)),
        "sessions": reverse("admin:sessions_app_ssosession_changelist"),
        "session": reverse("admin:sessions_app_ssosession_change", args=(ended.pk,)),
        "session-live": reverse("admin:sessions_app_ssosession_change", args=(live.pk,)),
        "deliveries": reverse("admin:logout_app_logoutdelivery_changelist"),
        "delivery": reverse("admin:logout_app_logoutdelivery_change", args=(refused.pk,)),
        "tenant": reverse("admin:idp_tenantsettings_change", args=(1,)),
        "api-add": reverse("admin:idp_resourceserver_add"),
        "grant-add": reverse("admin:idp_clientgrant_add"),
        "history": reverse("admin:idp_user_history", args=(mary.pk,)),
    }


def test_an_administrator_registers_an_application_without_javascript(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(reverse("admin:idp_application_add") + "?kind=all")
        page.fill("[name=name]", "Timesheet SaaS")
        page.fill("[name=redirect_uris]", "https://timesheet.example/callback")
        page.click("input[name=_save]")
        shoot(page, "application-secret")
        secret = page.inner_text(".endpoints code >> nth=0")
        assert len(secret) == 43
        page.click("text=I have copied it")
        assert secret not in page.content()
    assert Application.objects.get().name == "Timesheet SaaS"


def test_an_administrator_ends_a_session_without_javascript(
    chrome: Browser, live_server: Any, boss: SSOSession, paths: dict[str, str]
) -> None:
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(paths["session-live"])
        page.click("text=End this session")
        shoot(page, "session-end")
        page.click("input[type=submit][value='End this session']")
        assert "The session has ended." in page.inner_text(".messagelist")
        assert "Ended by the administrator boss@fabrikamcorp.com" in page.inner_text(".timeline")
        shoot(page, "session-ended")


def test_every_endpoint_can_be_copied(
    chrome: Browser, live_server: Any, boss: SSOSession, paths: dict[str, str]
) -> None:
    with page_of(chrome, live_server, boss, permissions=["clipboard-read", "clipboard-write"]) as (page, complaints):
        page.goto(paths["application"])
        page.click(".endpoints button.copy >> nth=1")
        page.wait_for_selector("text=Copied")
        assert page.evaluate("navigator.clipboard.readText()") == settings.ISSUER
        assert complaints == []


def test_an_administrator_blocks_a_person(
    chrome: Browser, live_server: Any, boss: SSOSession, paths: dict[str, str]
) -> None:
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(paths["person"])
        page.click("text=Block this person")
        page.click("input[type=submit][value='Block this person']")
        assert "is blocked and signed out" in page.inner_text(".messagelist")
        assert complaints == []
    assert not User.objects.get(email="mary@fabrikamcorp.com").is_active


def test_an_application_added_with_what_the_form_offers_is_told_when_somebody_is_blocked(
    chrome: Browser, live_server: Any, boss: SSOSession
) -> None:
    """And the page that blocks, the story of the session and the start page name the one that is not told."""
    mary, wiki = make_user(), make_application("Old Wiki")
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(reverse("admin:idp_application_add") + "?kind=all")
        page.fill("[name=name]", "Timesheet SaaS")
        page.get_by_role("tab", name="Addresses").click()
        page.fill("[name=redirect_uris]", "https://timesheet.example/callback")
        page.get_by_role("tab", name="Sign-out").click()
        page.fill("[name=backchannel_logout_uri]", "https://timesheet.example/out")
        page.click("input[name=_save]")
        page.wait_for_selector(".endpoints code")
        session = make_session(mary, Application.objects.get(name="Timesheet SaaS"), wiki)
        page.goto(reverse("admin:idp_user_act", args=(mary.pk, "block")))
        assert "Not told, so that people may stay signed in there: Old Wiki (it has no logout URL)." in page.inner_text(
            "#content"
        )
        page.click("input[type=submit][value='Block this person']")
        page.wait_for_selector(".messagelist")
        page.goto(reverse("admin:sessions_app_ssosession_change", args=(session.pk,)))
        story = page.inner_text(".timeline")
        assert "Timesheet SaaS: Waiting" in story
        assert "Old Wiki: not told, because it has no logout URL" in story
        shoot(page, "session-not-told")
        page.goto(reverse("admin:index"))
        shoot(page, "start-not-told")
        assert "1 application was not told of a sign-out today: Old Wiki." in page.inner_text(".attention")
        page.click("text=Look why")
        assert "Not told" in page.inner_text("#result_list")
        assert complaints == []
