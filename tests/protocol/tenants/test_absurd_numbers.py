"""Numbers that were stored before there were bounds, or by hand, count as the nearest allowed one wherever they are used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from idp.models import Application, ResourceServer, TenantSettings
from idp.tenants import configuration
from logout_app.tasks import purge_history
from sessions_app.models import SSOSession
from sessions_app.session import binding
from tests.support import oauth
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
ABSURD = 2_147_483_647 if connection.vendor == "postgresql" else 99_999_999_999_999  # the most that is kept


def store(**columns: Any) -> TenantSettings:
    TenantSettings.objects.filter(pk=configuration.load_tenant().pk).update(**columns)
    configuration.bump()
    return configuration.load_tenant()


@pytest.mark.parametrize("value", [0, ABSURD])
@pytest.mark.parametrize("field", ["session_lifetime_in_minutes", "idle_session_lifetime_in_minutes"])
def test_people_sign_in_and_stay_so_whatever_lifetime_is_stored(field: str, value: int) -> None:
    mary = make_user()
    tenant, now = store(**{field: value}), timezone.now()
    ends, idles = binding.limits(tenant, auth_time=now, seen_at=now)
    assert all(timedelta(minutes=1) <= moment - now <= timedelta(days=365) for moment in (ends, idles))
    client = browser()
    assert client.post("/login", {"username": mary.email, "password": PASSWORD}).status_code == 302
    assert SSOSession.objects.live(timezone.now()).filter(user=mary).count() == 1
    assert client.get("/account/sessions").status_code == 200


@pytest.mark.parametrize("value", [0, ABSURD])
def test_pages_that_wait_for_applications_bear_any_stored_timeout(value: int) -> None:
    store(sign_out_timeout=value)
    application = make_application(frontchannel_logout_uri="https://jwt-debugger.example/out")
    mary = make_user()
    other, client = make_session(mary, application), browser(make_session(mary, application))
    assert client.post("/account/sessions", {"act": "sign-out", "sid": other.sid}).status_code == 302
    assert client.get("/account/sessions").status_code == 200
    out = {"client_id": application.client_id, "returnTo": "https://jwt-debugger.example/out"}
    address = client.get("/v2/logout", out, headers={"Sec-Fetch-Dest": "document", "Accept": "text/html"})["Location"]
    assert address.startswith("/logout/")
    assert client.get(address).status_code == 200
    assert client.get(f"{address}/status").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("value", [0, ABSURD])
def test_history_is_purged_within_the_bounds_of_its_retention(value: int) -> None:
    store(history_retention_days=value)
    session = make_session(make_user())
    SSOSession.objects.filter(pk=session.pk).update(
        ended_at=timezone.now() - timedelta(hours=1), end_initiator="rp-logout"
    )
    purge_history()
    call_command("cleartokens")
    assert SSOSession.objects.filter(pk=session.pk).exists(), "an hour ago is not older than a day"


FIELDS = ("access_token_lifetime", "id_token_lifetime", "refresh_token_lifetime", "refresh_token_idle_lifetime")


@pytest.mark.parametrize("value", [0, ABSURD])
def test_tokens_are_issued_whatever_lifetimes_are_stored(value: int) -> None:
    application = make_application(grant_types=["authorization_code", "refresh_token", "client_credentials"])
    Application.objects.filter(pk=application.pk).update(**dict.fromkeys(FIELDS, value))
    api = ResourceServer.objects.create(identifier="https://api.example/", token_lifetime=value)
    api.client_grants.create(application=application, scope=[])
    configuration.bump()
    tokens = oauth.tokens_for(make_session(make_user(), application), application, scope="openid offline_access")
    assert 1 <= tokens["expires_in"] <= 2_000_000_000
    asked = oauth.token(application, grant_type="client_credentials", audience="https://api.example/")
    assert asked.status_code == 200, asked.content
    if value:
        assert oauth.refresh(application, tokens["refresh_token"]).status_code == 200
