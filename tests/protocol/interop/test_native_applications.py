"""The documents by which telephones learn which native applications belong to this host."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from idp.models import Application
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PRINT = ":".join(["AB"] * 32)
ANDROID = {"android_package_name": "com.example.app", "android_fingerprints": PRINT}
IOS = {"ios_team_id": "9JA89QQLNQ", "ios_bundle_id": "com.example.app"}


def get(name):
    answer = Client().get(f"/.well-known/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    return answer.json()


def test_asset_links_name_every_application_on_android():
    make_application("Web")
    make_application("Phone", app_type="native", **ANDROID)
    assert get("assetlinks.json") == [
        {
            "relation": [
                "delegate_permission/common.handle_all_urls",
                "delegate_permission/common.get_login_creds",
            ],
            "target": {
                "namespace": "android_app",
                "package_name": "com.example.app",
                "sha256_cert_fingerprints": [PRINT],
            },
        }
    ]


def test_the_site_association_gives_each_application_its_own_path_and_passkeys():
    make_application("Phone", app_type="native", **IOS)
    assert get("apple-app-site-association") == {
        "applinks": {
            "apps": [],
            "details": [{"appID": "9JA89QQLNQ.com.example.app", "paths": ["/ios/com.example.app/*"]}],
        },
        "webcredentials": {"apps": ["9JA89QQLNQ.com.example.app"]},
    }


def test_without_such_applications_they_are_empty():
    make_application("Web")
    assert get("assetlinks.json") == []
    assert get("apple-app-site-association")["webcredentials"] == {"apps": []}


def test_an_application_that_is_disabled_or_not_right_belongs_to_nobody():
    make_application("Off", enabled=False, **ANDROID, **IOS)
    odd = make_application("Odd")
    Application.objects.filter(pk=odd.pk).update(
        android_package_name="com.example.odd", ios_bundle_id="com.example.odd"
    )
    assert get("assetlinks.json") == []
    assert get("apple-app-site-association")["applinks"]["details"] == []


def test_a_change_is_seen_at_once():
    phone = make_application("Phone", **ANDROID)
    assert len(get("assetlinks.json")) == 1
    phone.enabled = False
    phone.save()
    assert get("assetlinks.json") == []


def test_the_admin_keeps_fingerprints_one_per_line_and_says_what_is_wrong():
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    phone = make_application("Phone", app_type="native")
    url = reverse("admin:idp_application_change", args=[phone.pk])
    form = admin.get(url).context["adminform"].form
    data = {item.html_name: item.value() for item in form if item.value() not in (None, False, "")}
    other = ":".join(["CD"] * 32)
    wrong = admin.post(url, data | {"android_package_name": "com.example.app", "android_fingerprints": "AB:CD"})
    assert "32 pairs" in str(wrong.context["adminform"].form.errors["android_fingerprints"])
    right = {"android_package_name": "com.example.app", "android_fingerprints": f"{PRINT}\n{other}"}
    assert admin.post(url, data | right).status_code == 302
    assert Application.objects.get(pk=phone.pk).fingerprints == [PRINT, other]
