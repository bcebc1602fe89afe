"""The rulebook of the tenant's settings: every rule at every door, and what the page says of stored values that break one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import TenantSettings
from idp.tenants import apply as tenant
from idp.tenants import configuration, rules
from idp.tenants.reader import TenantFileError
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db


def wrong_numbers() -> Iterator[tuple[str, Any]]:
    for field, bounds in rules.NUMBERS.items():
        yield field, bounds.least - 1
        yield field, bounds.most + 1


CASES: tuple[tuple[str, Any], ...] = (
    ("friendly_name", " "),
    ("friendly_name", "right\u202eleft"),
    ("friendly_name", "x" * 256),
    ("picture_url", "http://cdn.example/logo.png"),
    ("picture_url", "ftp://cdn.example/logo.png"),
    ("picture_url", "https://user:secret@cdn.example/logo.png"),
    ("legal_hold", "x" * 201),
    ("support_url", "http://help.example/"),
    ("support_url", "javascript:alert(1)"),
    ("support_email", "nobody"),
    ("support_email", f"{'x' * 64}@{'y' * 60}.{'z' * 60}.{'a' * 60}.{'b' * 60}.example"),
    ("accent_color", "red"),
    ("accent_color", "#12345"),
    ("accent_color", "#12345g"),
    ("background_color", "white"),
    ("background_color_dark", "#00000"),
    ("picture_url_dark", "http://cdn.example/logo.png"),
    ("favicon_url", "javascript:alert(1)"),
    ("privacy_url", "http://www.example/privacy"),
    ("imprint_url", "http://www.example/imprint"),
    ("allowed_logout_urls", ["http://app.example/out"]),
    ("allowed_logout_urls", ["https://app.example/out?state=1"]),
    ("allowed_logout_urls", ["https://*.app.example/out"]),
    ("allowed_logout_urls", ["https://app.example/one https://app.example/two"]),
    ("v2_logout_confirmation", "sometimes"),
    ("profile", "fapi"),
    ("security_mails", "sometimes"),
    ("default_language", "tlh"),
    ("require_mfa_groups", ["x" * 513]),
    *wrong_numbers(),
)


def test_the_table_has_every_setting_that_the_rulebook_judges() -> None:
    judged = {"friendly_name", "allowed_logout_urls", "require_mfa_groups", *rules.CHOSEN, *rules.TEXTS, *rules.NUMBERS}
    assert {field for field, _ in CASES} == judged
    switches = {field.name for field in TenantSettings._meta.fields if field.get_internal_type() == "BooleanField"}
    # On pages of their own: tests/protocol/admin/test_looks.py. Uploads are named by their content.
    elsewhere = {*rules.WRITTEN, "logo_upload", "logo_dark_upload", "favicon_upload"}
    assert judged | switches | elsewhere == {field.name for field in TenantSettings._meta.fields} - {
        "id",
        "config_version",
        "pairwise_salt",
    }


def test_the_model_refuses_what_the_rules_refuse() -> None:
    for field, value in CASES:
        with pytest.raises(ValidationError) as caught:
            TenantSettings(**{field: value}).full_clean()
        assert set(caught.value.message_dict) == {field}, value


@pytest.fixture
def admin() -> Client:
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def test_the_admin_refuses_what_the_rules_refuse_beside_its_field(admin: Client) -> None:
    url = reverse("admin:idp_tenantsettings_change", args=(configuration.load_tenant().pk,))
    form = admin.get(url).context["adminform"].form
    filled = {item.html_name: item.value() for item in form if item.value() not in (None, False, "", [])}
    for field, value in CASES:
        answer = admin.post(url, filled | {field: "\n".join(value) if isinstance(value, list) else value})
        assert answer.status_code == 200, (field, value)
        assert set(answer.context["adminform"].form.errors) == {field}, value
    assert admin.post(url, filled).status_code == 302


def test_the_tenant_file_refuses_what_the_rules_refuse_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    before = TenantSettings.objects.values().get(pk=configuration.load_tenant().pk)
    for field, value in CASES:
        path.write_text(json.dumps({"tenant": {field: value}}))  # JSON is YAML
        with pytest.raises(TenantFileError) as caught:
            tenant.apply(path, at=timezone.now())
        (problem,) = caught.value.problems
        place = f"tenant.{field}[0]: " if isinstance(value, list) else f"tenant.{field}: "
        assert problem.startswith(place), value
    assert TenantSettings.objects.values().get() == before


def test_the_tenant_file_says_lifetimes_in_hours_within_the_same_bounds(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    for hours in (0, 365 * 24 + 1):
        path.write_text(f"tenant: {{session_lifetime: {hours}}}")
        with pytest.raises(TenantFileError, match=r"^tenant\.session_lifetime: "):
            tenant.apply(path, at=timezone.now())


def test_hosts_without_a_dot_are_fine(admin: Client) -> None:
    """Inside a container network there is none, and the tenant file always took them."""
    row = configuration.load_tenant()
    url = reverse("admin:idp_tenantsettings_change", args=(row.pk,))
    form = admin.get(url).context["adminform"].form
    filled = {item.html_name: item.value() for item in form if item.value() not in (None, False, "", [])}
    typed = {"picture_url": "https://intranet/logo.png", "support_url": "help.example/contact"}
    assert admin.post(url, filled | typed).status_code == 302
    row.refresh_from_db()
    assert (row.picture_url, row.support_url) == ("https://intranet/logo.png", "https://help.example/contact")


def test_a_stored_setting_that_breaks_a_rule_is_named_on_the_page_and_may_stay_in_a_file(
    admin: Client, tmp_path: Path
) -> None:
    TenantSettings.objects.filter(pk=configuration.load_tenant().pk).update(sign_out_timeout=3600)
    configuration.bump()
    page = admin.get(reverse("admin:idp_tenantsettings_change", args=(1,))).content.decode()
    assert "would not be accepted today: sign out timeout: it must be a whole number from 1 to 60." in page
    path = tmp_path / "tenant.yaml"
    path.write_text("tenant: {friendly_name: Fabrikam}")
    tenant.apply(path, at=timezone.now())
    assert configuration.load_tenant().friendly_name == "Fabrikam"
