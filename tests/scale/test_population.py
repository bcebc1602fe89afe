"""bench/population.py makes rows as Curfew does: whoever holds a cookie or a token of them goes on, and the purge takes what is dead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.models import Exists, OuterRef
from django.test import Client
from django.utils import timezone

from bench import filling, population
from idp.models import TenantSettings, User
from logout_app.ending import purge
from logout_app.models import LogoutDelivery
from sessions_app.models import AccessToken, RefreshToken, RefreshTokenFamily, SessionClient, SessionEvent, SSOSession

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]  # SQL of PostgreSQL's own
PEOPLE, SESSIONS = 100, 200


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "LINES_OF_SEAL", 10)  # of little more than a day
    TenantSettings.objects.all().delete()
    population.configure()
    population.write({"people": PEOPLE, "sessions": SESSIONS}, step=64)  # several steps


def test_rows_have_the_shape_of_an_installation() -> None:
    assert (User.objects.count(), SSOSession.objects.count(), SessionClient.objects.count()) == (100, 200, 300)
    assert RefreshToken.objects.count() == AccessToken.rows.count() == SESSIONS * 5 // 2
    assert (SessionEvent.objects.count(), LogoutDelivery.objects.count()) == (5 * SESSIONS, SESSIONS * 3 // 5)
    assert dangling() == ""
    assert SSOSession.objects.live(timezone.now()).count() == SESSIONS * 2 // 5 - blocked()


def dangling() -> str:
    """Keys that lead nowhere: the database was told not to ask."""
    return ", ".join(
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and model._base_manager.exclude(**{field.name: None}).filter(~Exists(meant_by(field))).exists()
    )


def meant_by(field: models.ForeignKey[Any, Any]) -> models.QuerySet[Any]:
    return field.related_model._base_manager.filter(**{field.target_field.name: OuterRef(field.attname)})


def blocked() -> int:
    return SSOSession.objects.filter(user__is_active=False, ended_at=None).count()


def test_indexes_are_there_again() -> None:
    with connection.cursor() as cursor:
        names = connection.introspection.get_constraints(cursor, RefreshToken._meta.db_table)
    assert any(each["columns"] == ["family_id"] and each["index"] for each in names.values())
    assert SSOSession.objects.create(**new_session()).pk > SESSIONS


def new_session() -> dict[str, Any]:
    now = timezone.now()
    times = dict.fromkeys(("auth_time", "last_seen_at", "idle_expires_at", "expires_at"), now)
    return {"user": User.objects.get(pk=1), "cookie_hash": "new", **times}


def test_a_browser_and_an_application_go_on_where_the_rows_say_that_they_are() -> None:
    session = population.living(SESSIONS, PEOPLE)[-1]
    client = Client()
    client.cookies[settings.SSO_COOKIE_NAME] = f"cookie-{session}"
    query = {"response_type": "code", "scope": "openid", "redirect_uri": filling.CALLBACK}
    answer = client.get(
        "/authorize", {**query, "client_id": filling.CLIENTS[0]["client_id"], "state": "s", "nonce": "n"}
    )
    assert answer.headers["Location"].startswith(f"{filling.CALLBACK}?code=")
    asked = {"token": population.access_token_of(session)}
    assert sent("/oauth/introspect", session, asked).json()["active"]
    token = {"grant_type": "refresh_token", "refresh_token": population.refresh_token_of(session)}
    assert sent("/oauth/token", session, token).status_code == 200


def sent(path: str, session: int, form: dict[str, str]) -> Any:
    body = urlencode({**population.client_of(session), **form})
    return Client().post(path, body, content_type="application/x-www-form-urlencoded")


def test_the_purge_takes_what_is_dead_and_old_and_no_more() -> None:
    now = timezone.now()
    old = now - timedelta(days=population.DAYS // 2)
    ended = SSOSession.objects.filter(ended_at__lt=old)
    gone = set(ended.values_list("pk", flat=True))
    living = set(SSOSession.objects.live(now).values_list("pk", flat=True))
    families = {
        row.pk for row in RefreshTokenFamily.objects.select_related("session__user", "user") if row.is_alive(now)
    }
    purge_all(lambda: purge.batches(now, population.DAYS // 2))
    assert gone
    assert not SSOSession.objects.filter(pk__in=gone).exists()
    assert living <= set(SSOSession.objects.values_list("pk", flat=True))
    assert families <= set(RefreshTokenFamily.objects.values_list("pk", flat=True))
    assert not SessionEvent.objects.filter(
        at__lt=old - timedelta(days=2)
    ).exists()  # but what was sealed with younger lines
    assert not AccessToken.rows.filter(expires__lt=now - timedelta(days=1)).exists()
    assert dangling() == ""


def purge_all(batches: Callable[[], Any]) -> None:
    for _, batch in batches():
        while batch():
            pass
