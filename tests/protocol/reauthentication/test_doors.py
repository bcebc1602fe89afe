"""An application asks to be told by every door: form, tenant file; a registration is in `registration/test_endpoint.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import reverse

from idp.models import Application
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
URL = "https://app.example/again"


def test_a_tenant_file_says_it_and_what_it_leaves_out_stays(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    for said, expected in ((f", reauthentication_uri: '{URL}'", URL), ("", URL), (", reauthentication_uri: ''", "")):
        path.write_text(f"clients: [{{name: App, client_id: app, callbacks: ['https://app.example/cb']{said}}}]")
        call_command("apply", str(path))
        assert Application.objects.get(client_id="app").reauthentication_uri == expected


def test_the_form_has_it() -> None:
    application = make_application("App", reauthentication_uri=URL)
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    shown = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert "Reauthentication URL" in shown
    assert f'value="{URL}"' in shown
