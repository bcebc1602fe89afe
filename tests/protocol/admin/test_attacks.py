"""Attacks on the administration that no other file of this folder has: methods, hosts, and what objects say of themselves.

Elsewhere: networks (test_networks.py), lookups (test_pages.py), guesses at passwords (tests/protocol/bruteforce), secrets in
the change log (test_kept_secrets.py, test_configuration_trail.py).
"""

from __future__ import annotations

import pytest
from django.contrib import admin as django_admin
from django.core import mail
from django.db import models
from django.test import Client
from django.urls import reverse

from idp.admin.support import ActsAdmin
from sessions_app.models import SSOSession
from sessions_app.tasks import send_mails
from tests.support.factories import make_application, make_session, make_user
from tests.support.rows import one_of_each

pytestmark = pytest.mark.django_db
SECRET = ("secret", "token", "password", "hash", "checksum", "sealed", "private", "code", "key")


@pytest.mark.parametrize("query", [{"action": "end_sessions"}, {"action": "delete_selected", "_selected_action": "1"}])
def test_a_list_that_is_only_looked_at_changes_nothing(admin: Client, query: dict[str, str]) -> None:
    """A link in a mail, or an image, is a GET."""
    session = make_session(make_user(), make_application())
    for model in django_admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert admin.get(url, {**query, "_selected_action": str(session.pk)}).status_code in (200, 302, 400, 403, 405)
    assert SSOSession.objects.get(pk=session.pk).ended_at is None


def test_no_act_goes_without_the_token_of_its_form(admin: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies
    rows = one_of_each()
    tried = 0
    for model, page in django_admin.site._registry.items():
        if not isinstance(page, ActsAdmin) or model not in rows:
            continue
        for act in page.get_acts():
            url = reverse(
                f"admin:{model._meta.app_label}_{model._meta.model_name}_act", args=(rows[model].pk, act.name)
            )
            assert strict.post(url, {"post": "yes"}).status_code == 403, url
            tried += 1
    assert tried > 10


def test_a_reset_mail_that_an_administrator_sends_leads_to_the_issuer(admin: Client) -> None:
    mary = make_user()
    url = reverse("admin:idp_user_act", args=(mary.pk, "reset-mail"))
    refused = admin.post(url, {"post": "yes"}, headers={"Host": "evil.example"})
    assert refused.status_code == 400
    admin.post(url, {"post": "yes"}, headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"})
    send_mails()
    (letter,) = mail.outbox
    assert "evil.example" not in letter.body
    assert "http://localhost:8000/account/password/reset/key/" in letter.body


def test_no_object_says_a_secret_when_it_is_written_down(db: None) -> None:
    """In a log, an error's local variables, or a list that has no column for it."""
    told = []
    for row in one_of_each().values():
        said = f"{row} {row!r}"
        for field in row._meta.concrete_fields:
            value = getattr(row, field.attname)
            names_one = any(word in field.name for word in SECRET) and not isinstance(field, models.ForeignKey)
            if names_one and isinstance(value, str) and len(value) >= 16 and value in said:
                told.append(f"{row._meta.label}.{field.name}")
    assert told == []


@pytest.mark.parametrize("path", ["/metrics", "/flower/", "/__debug__/", "/debug/", "/admin/jsi18n/", "/admin/doc/"])
def test_what_operators_look_at_is_not_there_for_everybody(path: str) -> None:
    assert Client().get(path, REMOTE_ADDR="203.0.113.9").status_code in (302, 401, 404)
