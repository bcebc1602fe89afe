"""Settings of what people see: pictures that are nothing else, colours that can be read, texts and mails in one's own words."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import BrandImage, TenantSettings
from idp.people.console_roles import AUDITOR, CONFIGURATOR, OPERATOR
from idp.protocol.text import colours
from idp.tenants import configuration
from sessions_app.account import mail
from sessions_app.models import SessionEvent
from sessions_app.tasks import send_mails
from tests.protocol.admin.test_roles import with_role
from tests.support.factories import browser, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SETTINGS = "/admin/idp/tenantsettings/1/change/"
SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def png(width: int = 120, height: int = 40) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def boss() -> Client:
    configuration.load_tenant()
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def typed(client: Client) -> dict[str, Any]:
    form = client.get(SETTINGS).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def save(client: Client, **changes: Any) -> Any:
    return client.post(SETTINGS, {**typed(client), **changes})


# --- pictures ----------------------------------------------------------------------------------------------------------
def test_a_logo_is_uploaded_shown_served_as_a_picture_and_taken_away(boss):
    logo = SimpleUploadedFile("<script>.html", png(), content_type="text/html")
    dark = SimpleUploadedFile("dark.png", png(60, 20), content_type="image/png")
    assert save(boss, logo=logo, logo_dark=dark).status_code == 302
    page = Client().get("/login").content.decode()
    where = re.search(r'<img class="brand-picture" src="(/branding/[0-9a-f]{64}\.png)"', page)[1]
    assert re.search(r'<source srcset="/branding/[0-9a-f]{64}\.png" media="\(prefers-color-scheme: dark\)">', page)
    answer = Client().get(where)
    assert answer.content == png()
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "immutable" in answer["Cache-Control"]
    line = SessionEvent.objects.filter(type="tenant_changed").latest("pk")
    assert {change["what"] for change in line.data["changes"]} == {"logo_upload", "logo_dark_upload"}

    assert save(boss, no_logo="on").status_code == 302
    assert "brand-picture" not in Client().get("/login").content.decode()
    assert Client().get(where).status_code == 404
    assert BrandImage.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (SCRIPT, "SVG is not taken"),
        (b"<?xml version='1.0'?>" + SCRIPT, "SVG is not taken"),
        (b"<!doctype html><script>alert(1)</script>", "SVG is not taken"),
        (b"GIF89a", "damaged"),
        (png() + b"<script>alert(1)</script>", "behind its end"),
        (png()[:20], "damaged"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 4, "damaged"),
        (png(2001, 1), "2000 pixels"),
        (png() + b"\0" * 300_001, "300 kB"),
        (b"\0\0\1\0\1\0\x10\x10" + b"\0" * 14, "favicon only"),
        (b"", "SVG is not taken"),
    ],
    ids=["svg", "xml", "html", "short gif", "script behind", "cut", "empty jpeg", "wide", "large", "ico", "nothing"],
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(boss, content, why):
    answer = save(boss, logo=SimpleUploadedFile("logo.png", content, content_type="image/png"))
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert not BrandImage.objects.exists()
    assert TenantSettings.objects.get().logo_upload == ""


@pytest.mark.parametrize(
    "name", ["x.png", f"{'a' * 64}.svg", f"{'a' * 64}.html", f"{'a' * 64}.png", "..%2fsettings.py"]
)
def test_no_other_address_below_branding_has_anything(db, name):
    assert Client().get(f"/branding/{name}").status_code == 404


# --- colours and links -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("chosen", ["#000000", "#808080", "#ffffff", "#ff0000", "#ffff00"])
def test_text_can_be_read_on_every_colour_that_somebody_chooses(chosen):
    light, dark = colours.light_ground(chosen), colours.dark_ground(chosen)
    for ground, inks in (
        (
            light,
            (colours.LIGHT_INK, colours.light(chosen, light).accent, colours.light(colours.LIGHT_ACCENT, light).accent),
        ),
        (dark, (colours.DARK_INK, colours.dark(chosen, dark).accent, colours.dark(colours.DARK_ACCENT, dark).accent)),
    ):
        assert min(colours.contrast(ink, ground) for ink in inks) >= colours.ENOUGH


def test_a_background_that_nobody_could_read_on_is_named_and_not_used(boss):
    answer = boss.post(SETTINGS, {**typed(boss), "background_color": "#222222"}, follow=True)
    assert "Text would be hard to read on #222222" in answer.content.decode()
    sheet = Client().get("/theme.css").content.decode()
    assert "#222222" not in sheet
    assert f"--ground: {colours.light_ground('#222222')}" in sheet


def test_privacy_and_imprint_stand_at_the_foot_of_every_page_and_lead_to_the_web_only(boss):
    links = {"privacy_url": "https://fabrikam.example/privacy", "imprint_url": "https://fabrikam.example/imprint"}
    assert save(boss, **links).status_code == 302
    for path in ("/login", "/account/password/reset/", "/nothing/here"):
        page = Client().get(path).content.decode()
        assert all(f'href="{url}"' in page for url in links.values()), path
    assert save(boss, privacy_url="javascript:alert(1)").status_code == 200


def test_the_preview_shows_what_is_not_saved_and_nothing_that_is_no_colour(boss):
    page = boss.get(SETTINGS)
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert 'title="Preview, dark"' in page.content.decode()
    where = reverse("admin:looks_preview")
    shown = boss.get(where, {"accent_color": "#b00020", "friendly_name": "<b>Contoso</b>", "scheme": "dark"})
    assert "&lt;b&gt;Contoso&lt;/b&gt;" in shown.content.decode()
    assert "frame-ancestors 'self'" in shown["Content-Security-Policy"]
    sheet = re.search(r'href="(/admin/settings/preview.css[^"]+)"', shown.content.decode())[1].replace("&amp;", "&")
    text = boss.get(sheet).content.decode()
    assert colours.dark("#b00020").accent in text
    assert "prefers-color-scheme" not in text.partition("--accent-strong: #ffb")[2]
    assert "evil" not in boss.get(reverse("admin:looks_sheet"), {"accent_color": "red}evil{"}).content.decode()
    assert TenantSettings.objects.get().accent_color == ""
    assert with_role(OPERATOR).client.get(where).status_code == 403


# --- texts and mails ---------------------------------------------------------------------------------------------------
def test_texts_of_ones_own_stand_on_their_pages_as_text(boss):
    page = reverse("admin:texts")
    assert boss.post(page, {"login-en": "Staff <b>only</b>", "footer-en": "Fabrikam Ltd"}).status_code == 302
    shown = Client().get("/login").content.decode()
    assert "Staff &lt;b&gt;only&lt;/b&gt;" in shown
    assert "Fabrikam Ltd" in shown
    boss.post(page, {})
    assert TenantSettings.objects.get().texts == {}


def reset_mail(mailoutbox) -> Any:
    make_user()
    mail.ask_for_reset("mary@fabrikamcorp.com", timezone.now())
    send_mails()
    return mailoutbox[-1]


def test_a_mail_in_ones_own_words_is_previewed_sent_to_oneself_saved_and_given_back(boss, mailoutbox):
    page = f"{reverse('admin:mails')}?mail=reset_email&language=en"
    assert "{url}" in boss.get(page).context["form"].initial["body"]
    said = {"subject": "Your {tenant} password", "body": "Dear {address},\n\n{url}\n\n{{ settings.SECRET_KEY }}"}
    preview = boss.post(page, {**said, "act": "preview"})
    assert "Your Curfew password" in preview.content.decode()
    assert boss.post(page, {**said, "act": "send"}).status_code == 200
    assert (mailoutbox[-1].to, mailoutbox[-1].subject) == (["boss@fabrikamcorp.com"], "Your Curfew password")
    assert TenantSettings.objects.get().mail_templates == {}
    assert boss.post(page, {**said, "act": "save"}).status_code == 302
    sent = reset_mail(mailoutbox)
    assert sent.subject == "Your Curfew password"
    assert "Dear mary@fabrikamcorp.com" in sent.body
    assert "http://localhost:8000/account/password/reset/key/" in sent.body
    assert "{{ settings.SECRET_KEY }}" in sent.body  # nothing is looked up
    assert boss.post(page, {"act": "reset"}).status_code == 302
    assert TenantSettings.objects.get().mail_templates == {}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"subject": "Hello", "body": "no link"}, "has no {url}"),
        ({"subject": "Hello", "body": "{url} {password}"}, "does not know"),
        ({"subject": "Hello {url}", "body": "{url}"}, "locked screens"),
        ({"subject": "Hello\r\nBcc: eve@x.example", "body": "{url}"}, "printable line"),
        ({"subject": "", "body": "{url}"}, "required"),
    ],
)
def test_a_mail_that_would_be_of_no_use_or_has_another_header_is_refused(boss, said, why):
    answer = boss.post(f"{reverse('admin:mails')}?mail=reset_email", {**said, "act": "save"})
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert TenantSettings.objects.get().mail_templates == {}


def test_who_may_change_which_of_it(boss):
    """Words of mails with links are a superuser's; looks and lines of pages are a configurator's too."""
    said = {"subject": "Hello", "body": "{url}", "act": "save"}
    for role, sees, writes in ((CONFIGURATOR, 200, True), (AUDITOR, 200, False), (OPERATOR, 403, False)):
        client = with_role(role).client
        assert client.get(reverse("admin:texts")).status_code == sees
        assert client.get(reverse("admin:mails")).status_code == sees
        answer = client.post(reverse("admin:texts"), {"login-en": role.group})
        assert answer.status_code == (302 if writes else 403)
        mails = client.post(reverse("admin:mails"), said)
        assert mails.status_code == (200 if writes else 403)
        assert client.get(reverse("admin:mail_test")).status_code == (200 if writes else 403)
    tenant = TenantSettings.objects.get()
    assert (tenant.texts, tenant.mail_templates) == ({"login": {"en": "Configurators"}}, {})
