"""What browsers report of the Content-Security-Policy arrives, bounded and without secrets."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from playwright.sync_api import Page
from structlog.testing import capture_logs

from idp import conf
from idp.http import content_policy, violations
from idp.views import csp_reports
from logout_app.models import DeliveryTally
from tests.support.chromium import chromium, chromium_with
from tests.support.pages import page_of
from tests.support.receiver import wait_until
from tests.support.tls_front import TlsFront

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PAGE = "http://localhost:8000/logout/abcdefghijklmnopqrstuvwxyz0123456789abcdefg?hint=eyJsecret#x"
# Names as Chromium 156 sends them, by report-uri and by the Reporting API (section 3.4; the body: CSP 3 section 5.4); their values
# are replaced by some that hold secrets.
ONE: dict[str, Any] = {
    "csp-report": {
        "document-uri": PAGE,
        "referrer": "http://localhost:8000/login?next=/secret",
        "violated-directive": "script-src-elem",
        "effective-directive": "script-src-elem",
        "original-policy": "default-src 'none'; script-src 'self'; report-uri /csp-reports",
        "disposition": "enforce",
        "blocked-uri": "https://user:pw@evil.example/in/a/secret/path?token=1",
        "line-number": 12,
        "source-file": "http://localhost:8000/static/js/login.js?key=1",
        "status-code": 200,
        "script-sample": "steal('secret')",
    }
}
MANY: list[Any] = [
    {
        "age": 53531,
        "type": "csp-violation",
        "url": PAGE,
        "user_agent": "Mozilla/5.0",
        "body": {
            "blockedURL": "inline",
            "columnNumber": 15,
            "disposition": "enforce",
            "documentURL": PAGE,
            "effectiveDirective": "script-src-elem",
            "lineNumber": 3,
            "originalPolicy": "default-src 'none'; report-to csp",
            "referrer": "",
            "sample": "secret()",
            "sourceFile": "https://cdn.example/x/secret.js",
            "statusCode": 200,
        },
    },
    {"age": 1, "type": "deprecation", "url": PAGE, "user_agent": "Mozilla/5.0", "body": {"id": "x"}},
]


@pytest.fixture(autouse=True)
def budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csp_reports, "BUDGET", violations.Budget(5))


def report(body: Any, media_type: str = violations.ONE) -> Any:
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post("/csp-reports", text, content_type=media_type)


def counted() -> dict[str, int]:
    return {row.label: int(row.value) for row in DeliveryTally.objects.filter(metric="csp")}


@pytest.mark.parametrize(("body", "media_type"), [(ONE, violations.ONE), (MANY, violations.MANY)])
def test_both_forms_are_counted_and_logged_without_what_could_be_secret(
    body: Any, media_type: str, client: Client
) -> None:
    with capture_logs() as lines:
        assert report(body, media_type).status_code == 204
    assert counted() == {"script-src-elem": 1}
    metrics = client.get("/metrics").content.decode()
    assert 'curfew_csp_reports_total{directive="script-src-elem"} 1.0' in metrics
    [line] = lines
    assert (line["event"], line["page"]) == ("content_policy.violated", "/logout/***")
    for secret in ("abcdefghij", "hint", "secret", "token", "pw@", "key=1"):
        assert secret not in str(line)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("script-src-elem", "https://evil.example", "/static/js/login.js")),
        ({"blocked-uri": "inline"}, ("script-src-elem", "inline", "/static/js/login.js")),
        ({"effective-directive": "x-made-up"}, ("other", "https://evil.example", "/static/js/login.js")),
        ({"effective-directive": "", "violated-directive": "img-src 'self'"}, ("img-src", "https://evil.example", "/static/js/login.js")),
        ({"source-file": "moz-extension"}, ("extension", "https://evil.example", "moz-extension")),
        ({"blocked-uri": "chrome-extension"}, ("extension", "chrome-extension", "/static/js/login.js")),
        ({"blocked-uri": 7, "source-file": None, "line-number": "x"}, ("script-src-elem", "", "")),
        ({"blocked-uri": "http://[::1/x", "source-file": "com.example.app:/x?y"}, ("script-src-elem", "http", "com.example.app")),
    ],
)  # fmt: skip
def test_what_a_report_says(change: dict[str, Any], expected: tuple[str, str, str]) -> None:
    body = json.dumps({"csp-report": {**ONE["csp-report"], **change}}).encode()
    [found] = violations.read(body, violations.ONE, "http://localhost:8000")
    assert (found.directive, found.blocked, found.source) == expected


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        ({"csp-report": {"document-uri": "https://elsewhere.example/"}}, violations.ONE, 204),  # not of a page of ours
        ([], violations.MANY, 204),
        ({}, violations.ONE, 400),
        ({"csp-report": []}, violations.ONE, 400),
        ([7], violations.MANY, 400),
        ({}, violations.MANY, 400),
        ("{", violations.ONE, 400),
        (b"\xff\xfe", violations.ONE, 400),
        ("[" * 30_000, violations.MANY, 400),
        ({"csp-report": {"document-uri": "http://[localhost:8000/"}}, violations.ONE, 204),
        ('{"csp-report": {"document-uri": "\\u0000"}}', violations.ONE, 400),
        ({"x": "y" * violations.LARGEST}, violations.ONE, 413),
        (ONE, "application/json", 415),
        (ONE, "", 415),
    ],
)
def test_anything_else_is_refused_or_not_noted_and_never_an_error_of_ours(
    body: Any, media_type: str, status: int
) -> None:
    answer = report(body, media_type)
    assert (answer.status_code, counted()) == (status, {})


def test_more_than_a_process_notes_is_counted_only_and_asks_the_database_nothing(
    django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("idp.views.csp_reports.time.monotonic", lambda: now[0])
    assert report(MANY[:1] * 8, violations.MANY).status_code == 204
    with django_assert_num_queries(0):
        assert report(ONE).status_code == 429
    now[0] += 60
    assert report(ONE).status_code == 204
    assert counted() == {"script-src-elem": 6, "dropped": 4}


@pytest.mark.parametrize(
    ("value", "named"),
    [("1", "/csp-reports"), ("0", ""), ("https://reports.example/r/1?x=2", "https://reports.example/r/1?x=2")],
)
def test_the_setting_says_where(monkeypatch: pytest.MonkeyPatch, value: str, named: str) -> None:
    monkeypatch.setenv("CURFEW_CSP_REPORTS", value)
    assert conf.read_csp_reports() == named


@pytest.mark.parametrize("value", ["2", "", "http://reports.example/", "https://", 'https://a.example/"; script-src *'])
def test_what_is_no_place_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CURFEW_CSP_REPORTS", value)
    with pytest.raises(conf.ImproperlyConfigured, match="CURFEW_CSP_REPORTS"):
        conf.read_csp_reports()


@pytest.mark.parametrize(("named", "https"), [("/csp-reports", False), ("/csp-reports", True), ("", True)])
def test_pages_name_it_and_redirects_do_not(client: Client, settings: Any, named: str, https: bool) -> None:
    settings.CSP_REPORTS, settings.HTTPS = named, https
    content_policy._policy.cache_clear()
    try:
        page, redirect = client.get("/login"), client.get("/account/")
    finally:
        content_policy._policy.cache_clear()
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert (f"report-uri {named}" in policy, "report-to csp" in policy) == (bool(named), bool(named and https))
    assert page.headers.get("Reporting-Endpoints") == ('csp="/csp-reports"' if named and https else None)
    assert redirect.status_code == 302
    assert "Reporting-Endpoints" not in redirect.headers


@pytest.mark.django_db(transaction=True)
def test_what_chromium_forbids_a_page_arrives(live_server: Any, settings: Any) -> None:
    settings.ISSUER_ORIGIN = live_server.url
    with chromium() as chrome, page_of(chrome, live_server) as (page, _):
        assert_violation_arrives(page, f"{live_server.url}/login")


@pytest.mark.django_db(transaction=True)
def test_with_https_chromium_sends_the_other_form(live_server: Any, settings: Any, monkeypatch: Any) -> None:
    forms = []

    def reading(body: bytes, media_type: str, origin: str) -> list[violations.Violation]:
        forms.append(media_type)
        return read(body, media_type, origin)

    read = violations.read
    monkeypatch.setattr(violations, "read", reading)
    certificate = trustme.CA().issue_cert("localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(tls)
    content_policy._policy.cache_clear()
    with TlsFront(tls, urlsplit(live_server.url).port or 0) as front:
        settings.HTTPS, settings.ISSUER_ORIGIN = True, f"https://localhost:{front.port}"
        known = f"--ignore-certificate-errors-spki-list={digest_of_key(certificate)}"
        with chromium_with("--short-reporting-delay", known) as chrome, page_of(chrome, live_server) as (page, _):
            assert_violation_arrives(page, f"{settings.ISSUER_ORIGIN}/login")
    content_policy._policy.cache_clear()
    assert forms == [violations.MANY]


def assert_violation_arrives(page: Page, address: str) -> None:
    page.goto(address)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'stolen = 1'}))")
    wait_until(counted, 30, "no report came")
    assert page.evaluate("typeof stolen") == "undefined"
    assert counted() == {"script-src-elem": 1}


def digest_of_key(certificate: trustme.LeafCert) -> str:
    """By which Chromium takes this one, and no other that nobody it knows has signed."""
    leaf = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
    key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
