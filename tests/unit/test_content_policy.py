"""Where the forms of a page may lead: one reading of addresses for every page that has such a form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.http import HttpResponse

from idp.http.content_policy import ContentPolicyMiddleware, allow_forms_to
from idp.protocol import uris

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://app.example.com/out?x#y", "https://app.example.com"),
        ("HTTPS://App.Example.com:443/out", "https://app.example.com"),
        ("https://app.example.com:8443/", "https://app.example.com:8443"),
        ("http://localhost:8001/x", "http://localhost:8001"),
        ("http://[::1]:51234/x", "http://[::1]:51234"),
        ("com.example.app://host/x", "com.example.app:"),
        ("com.example.app:/x", "com.example.app:"),
        ("", ""),
        ("app.example.com", ""),
        ("/login", ""),
        ("javascript:x", ""),
        ("https:", ""),
        ("https://*.example.com/", ""),
        ("https://a;b.example/", ""),
        ("https://a.example'/", ""),
        ("https://a.example:x/", ""),
        ("https://a.example/; script-src *", ""),
        ("com.example.app:;script-src *", ""),
    ],
)
def test_a_form_gets_one_plain_source(url, source):
    assert uris.source(url) == source


@pytest.mark.parametrize(
    ("urls", "leads_on", "allowed"),
    [
        (["https://a.example/x"], False, "'self' https://a.example"),
        (
            ["https://b.example/x", "https://a.example/x", "https://a.example/y"],
            False,
            "'self' https://a.example https://b.example",
        ),
        (["https://a.example/x"], True, "'self' https://a.example https:"),
        (["http://[::1]:51234/x"], False, "'self' http:"),
        (["javascript:x", ""], False, "'self'"),
        ([], False, "'self'"),
    ],
)
def test_the_page_says_where_its_forms_lead(rf, urls, leads_on, allowed):
    response = allow_forms_to(HttpResponse(), *urls, leads_on=leads_on)
    ContentPolicyMiddleware(lambda _: response)(rf.get("/"))
    assert f"form-action {allowed};" in response.headers["Content-Security-Policy"] + ";"


def test_nobody_else_makes_sources_of_forms():
    sources = [path for app in ("idp", "sessions_app", "logout_app") for path in (ROOT / app).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in sources if re.search(r"[\"']form-action[\"']", path.read_text())}
    assert found == {"idp/http/content_policy.py", "idp/settings.py"}
