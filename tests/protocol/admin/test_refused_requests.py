"""*Requests refused lately* on an application's page: what came, the nearest registered address, and its bounds."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.applications import refusals
from idp.models import Application, RefusedRequest
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
HERE = "https://jwt-debugger.example"


def authorize(application: Application, redirect_uri: str, **more: str) -> int:
    query = {"client_id": application.client_id, "redirect_uri": redirect_uri, "response_type": "code", **more}
    return Client().get("/authorize", query).status_code


def page_of(admin: Client, application: Application) -> str:
    return admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()


def test_the_address_that_came_stands_beside_the_nearest_registered_one(admin: Client) -> None:
    application = make_application(redirect_uris=f"https://other.example/cb {HERE}/callback")
    assert authorize(application, f"{HERE}/callback/") == 400
    page = page_of(admin, application).partition('id="refused"')[2]
    assert f"{HERE}/callback/</code>" in page
    assert f"{HERE}/callback</code>" in page
    assert "the slash at the end" in page


def test_sign_outs_that_would_lead_elsewhere_are_there_too(admin: Client) -> None:
    application = make_application()
    session = make_session(make_user(), application)
    for path, parameter in (("/oidc/logout", "post_logout_redirect_uri"), ("/v2/logout", "returnTo")):
        query = {"client_id": application.client_id, parameter: f"{HERE}/somewhere"}
        assert browser(session).get(path, query).status_code == 400
    assert {*RefusedRequest.objects.values_list("what", flat=True)} == {"post_logout_redirect_uri", "returnTo"}
    assert page_of(admin, application).count(f"{HERE}/out</code>") == 2


def test_what_the_application_is_told_of_is_there_with_its_reason(admin: Client) -> None:
    application = make_application(grant_types=["client_credentials"])
    assert authorize(application, f"{HERE}/callback", scope="openid") in (302, 303)
    page = page_of(admin, application).partition('id="refused"')[2]
    assert "This client may not use the authorization code grant." in page
    assert "Nearest registered" not in page.partition("</section>")[0]


def test_that_nobody_is_signed_in_is_no_mistake_of_the_application() -> None:
    application = make_application()
    authorize(application, f"{HERE}/callback", scope="openid", prompt="none")
    assert not RefusedRequest.objects.exists()


def test_what_is_registered_by_now_is_not_shown(admin: Client) -> None:
    application = make_application()
    authorize(application, f"{HERE}/second")
    assert 'id="refused"' in page_of(admin, application)
    application.redirect_uris += f" {HERE}/second"
    application.save()
    assert 'id="refused"' not in page_of(admin, application)


def test_what_is_long_ago_is_not_shown(admin: Client) -> None:
    application = make_application()
    authorize(application, f"{HERE}/second")
    RefusedRequest.objects.update(last_at=timezone.now() - timedelta(days=31))
    assert 'id="refused"' not in page_of(admin, application)


def test_the_same_again_is_one_row() -> None:
    application = make_application()
    for _ in range(3):
        authorize(application, f"{HERE}/second")
    assert RefusedRequest.objects.count() == 1


def test_strangers_fill_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by many addresses, nor by long ones; and another application keeps its own."""
    application, other = make_application(), make_application("Timesheet SaaS")
    authorize(other, f"{HERE}/second")
    with time_machine.travel(timezone.now(), tick=False):  # else a minute may end meanwhile
        for number in range(3 * refusals.WRITTEN):
            authorize(application, f"{HERE}/{number}")
    assert application.refused_requests.count() == refusals.WRITTEN
    monkeypatch.setattr(refusals, "WRITTEN", 1000)
    for number in range(refusals.KEPT + 5):
        authorize(application, f"{HERE}/more/{number}")
    newest = list(application.refused_requests.values_list("received", flat=True))
    assert len(newest) == refusals.KEPT
    assert newest[0] == f"{HERE}/more/{refusals.KEPT + 4}"
    authorize(application, f"{HERE}/{'x' * 1900}\u202e\x00")
    assert all(
        len(row.received) <= refusals.LONGEST and row.received.isprintable() for row in RefusedRequest.objects.all()
    )
    assert other.refused_requests.count() == 1


def test_who_is_refused_hears_why_also_when_it_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError("read-only")

    monkeypatch.setattr(refusals, "_write", fail)
    assert authorize(make_application(), f"{HERE}/second") == 400


def test_markup_that_came_is_text(admin: Client) -> None:
    application = make_application()
    authorize(application, "https://x.example/<script>alert(1)</script>")
    assert "<script>alert(1)" not in page_of(admin, application)
    assert RefusedRequest.objects.count() == 1


def test_an_application_that_is_deleted_takes_its_rows_along() -> None:
    application = make_application()
    authorize(application, f"{HERE}/second")
    application.delete()
    assert not RefusedRequest.objects.exists()
