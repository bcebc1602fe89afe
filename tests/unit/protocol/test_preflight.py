"""What one answer of an application's logout URLs means for its sign-outs."""

from __future__ import annotations

import pytest

from logout_app.protocol.preflight import NoAnswer, PreflightFinding, ProbeAnswer, Verdict, back_channel, front_channel
from logout_app.protocol.saml.preflight import by_browser, by_soap

ISSUER = "https://id.example"
URI = "https://app.example/out"
GOOD, HINT, BAD = Verdict.GOOD, Verdict.HINT, Verdict.BAD


def front(
    *headers: tuple[str, str], status: int = 200, uri: str = URI, issuer: str = ISSUER, **facts: bool
) -> list[PreflightFinding]:
    headers = (*headers, ("cache-control", "no-store"))
    facts = {"gets_sid": True, "has_back_channel": True, **facts}
    return front_channel(uri, ProbeAnswer(status, headers), issuer_origin=issuer, **facts)


def worst(findings: list[PreflightFinding]) -> Verdict:
    return max((finding.verdict for finding in findings), key=[GOOD, HINT, BAD].index)


def said(findings: list[PreflightFinding]) -> str:
    return " ".join(finding.sentence for finding in findings)


def csp(sources: str) -> tuple[str, str]:
    return ("content-security-policy", f"default-src 'self'; frame-ancestors {sources}")


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ([], GOOD),
        ([("x-frame-options", "DENY")], BAD),
        ([("x-frame-options", "sameorigin")], BAD),
        ([("x-frame-options", "SAMEORIGIN, SAMEORIGIN")], BAD),
        ([("x-frame-options", "ALLOW-FROM https://other.example")], GOOD),  # browsers ignore it
        ([csp("'none'")], BAD),
        ([csp("")], BAD),
        ([csp("'self'")], BAD),
        ([csp("https://other.example")], BAD),
        ([csp("https://id.example:8443")], BAD),
        ([csp("https://id.example.evil.example")], BAD),
        ([csp("https://*.id.example")], BAD),
        ([csp("data:")], BAD),
        ([csp("nonsense!")], BAD),
        ([csp("https://id.example")], GOOD),
        ([csp("HTTPS://ID.example/")], GOOD),
        ([csp("'self' id.example")], GOOD),
        ([csp("http://id.example")], GOOD),  # CSP lets http sources cover https
        ([csp("https://*.example")], GOOD),
        ([csp("https://id.example:*")], GOOD),
        ([csp("https://id.example:443")], GOOD),
        ([csp("https:")], GOOD),
        ([csp("*")], GOOD),
        ([csp("https://id.example"), ("x-frame-options", "DENY")], GOOD),  # frame-ancestors wins
        ([csp("https://id.example"), csp("'none'")], BAD),  # every policy must let it in
        ([("content-security-policy", "frame-ancestors https://id.example, frame-ancestors 'none'")], BAD),
        ([("content-security-policy", "default-src 'none'"), ("x-frame-options", "DENY")], BAD),
    ],
)
def test_whether_browsers_show_it_in_our_page(headers: list[tuple[str, str]], verdict: Verdict) -> None:
    assert worst(front(*headers)) is verdict


@pytest.mark.parametrize(
    ("sources", "issuer", "verdict"),
    [
        ("'self'", "https://app.example", BAD),  # our own origin is never framed at all
        ("http://localhost:8000", "http://localhost:8000", GOOD),
        ("localhost:8000", "http://localhost:8000", BAD),  # the application is https, so the source means https
        ("http://localhost", "http://localhost:8000", BAD),
        ("http://localhost:*", "http://localhost:8000", GOOD),
        ("https:", "http://localhost:8000", BAD),
    ],
)
def test_frame_ancestors_with_schemes_and_ports(sources: str, issuer: str, verdict: Verdict) -> None:
    assert worst(front(csp(sources), issuer=issuer)) is verdict


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "words"),
    [
        (200, [], GOOD, "answers 200"),
        (204, [], GOOD, "answers 204"),
        (200, [("content-disposition", "attachment")], BAD, "download"),
        (302, [("location", "/login?next=/out")], BAD, "sign-in at https://app.example"),
        (302, [("location", "https://id.example/authorize?x=1")], BAD, "sign-in at https://id.example"),
        (302, [("location", "http://app.example/bye")], BAD, "mixed content"),
        (302, [("location", "javascript:alert(1)")], BAD, "nowhere"),
        (303, [("location", "/signed-out")], HINT, "https://app.example/signed-out"),
        (301, [("location", "https://app.example/blogins")], HINT, "only the first page"),
        (401, [], BAD, "not signed in"),
        (403, [], BAD, "not signed in"),
        (404, [], BAD, "answers 404"),
        (405, [], BAD, "GET"),
        (500, [], BAD, "answers 500"),
    ],
)
def test_what_the_front_channel_page_answers(
    status: int, headers: list[tuple[str, str]], verdict: Verdict, words: str
) -> None:
    findings = front(*headers, status=status)
    assert worst(findings) is verdict
    assert words in said(findings)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://app.example/out", "mixed content"),
        ("https://id.example/out", "this service itself"),
        ("javascript:alert(1)", "no address"),
        ("", "no address"),
    ],
)
def test_an_address_that_is_never_framed_is_all_there_is_to_say(uri: str, words: str) -> None:
    findings = front(uri=uri)
    assert [finding.verdict for finding in findings] == [BAD]
    assert words in said(findings)


@pytest.mark.parametrize(
    ("cookie", "words"),
    [
        ("sid=x; Path=/; HttpOnly", "sid is not SameSite=None"),
        ("sid=x; SameSite=Lax; Secure", "sid is not SameSite=None"),
        ("sid=x; samesite=none", "without Secure"),
        ("sid=x; SameSite=None; Secure", ""),
    ],
)
def test_cookies_that_a_foreign_frame_does_not_get_are_named(cookie: str, words: str) -> None:
    findings = front(("set-cookie", cookie))
    assert worst(findings) is (HINT if words else GOOD)
    assert words in said(findings)


def test_on_our_own_host_cookies_are_no_matter() -> None:
    headers = ("set-cookie", "sid=x; SameSite=Lax")
    assert worst(front(headers, uri="https://id.example:8443/out", has_back_channel=False)) is GOOD


def test_what_may_fail_in_some_browsers_is_hinted_at() -> None:
    assert "third-party cookies" in said(front(has_back_channel=False))
    assert "no iss and sid" in said(front(gets_sid=False))
    bare = front_channel(URI, ProbeAnswer(200), issuer_origin=ISSUER, gets_sid=True, has_back_channel=True)
    assert "no-store" in said(bare)
    assert worst(bare) is HINT


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(400, GOOD), (200, HINT), (204, HINT), (500, HINT), (422, HINT)]
    + [(status, BAD) for status in (302, 401, 403, 404, 405, 410)],
)
def test_what_the_back_channel_answers_to_a_token_that_is_none(status: int, verdict: Verdict) -> None:
    findings = back_channel(URI, ProbeAnswer(status))
    assert [finding.verdict for finding in findings] == [verdict]


def test_an_http_back_channel_is_hinted_at() -> None:
    assert [f.verdict for f in back_channel("http://app.example/bc", ProbeAnswer(400))] == [HINT, GOOD]


def test_no_answer_is_said_with_its_reason() -> None:
    assert "cannot be reached from here: connection refused." in said(back_channel(URI, NoAnswer("connection refused")))
    expired = NoAnswer("certificate has expired", tls=True)
    assert "certificate that we do not trust: certificate has expired." in said(back_channel(URI, expired))
    findings = front_channel(URI, expired, issuer_origin=ISSUER, gets_sid=True, has_back_channel=True)
    assert [finding.verdict for finding in findings] == [BAD]


@pytest.mark.parametrize(
    ("status", "content_type", "verdict"),
    [
        (500, "text/xml; charset=utf-8", GOOD),
        (200, "application/soap+xml", GOOD),
        (400, "text/html", GOOD),
        (500, "text/html", HINT),
        (200, "text/html", HINT),
        (302, "text/html", BAD),
        (403, "text/xml", BAD),
        (404, "text/html", BAD),
        (405, "text/html", BAD),
        (415, "text/html", BAD),
    ],
)
def test_a_soap_service_of_saml_refuses_what_is_no_message(status: int, content_type: str, verdict: Verdict) -> None:
    assert worst(by_soap(URI, ProbeAnswer(status, (("content-type", content_type),)))) == verdict


def test_soap_that_cannot_be_reached_or_is_not_encrypted_is_said() -> None:
    assert "cannot be reached from here: refused" in said(by_soap(URI, NoAnswer("refused")))
    plain = by_soap("http://app.example/out", ProbeAnswer(500, (("content-type", "text/xml"),)))
    assert (worst(plain), "TLS" in said(plain)) == (HINT, True)


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (200, [], GOOD),
        (400, [], GOOD),
        (500, [], GOOD),
        (404, [], BAD),
        (400, [("x-frame-options", "DENY")], BAD),
        (400, [csp("'none'")], BAD),
        (400, [csp(ISSUER)], GOOD),
    ],
)
def test_a_single_logout_service_must_be_there_and_let_itself_be_framed(
    status: int, headers: list[tuple[str, str]], verdict: Verdict
) -> None:
    assert worst(by_browser(URI, ProbeAnswer(status, tuple(headers)), issuer_origin=ISSUER)) == verdict
    assert worst(by_browser("http://app.example/out", ProbeAnswer(200), issuer_origin=ISSUER)) == BAD
