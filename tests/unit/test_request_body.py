"""Bodies that programs and other servers send: one reader, and every endpoint says what is wrong in its own form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from idp.http.serving.limits import LONGEST_BODY
from idp.tenants import configuration
from tests.support.factories import make_connection

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
PROGRAMS = {
    "/oauth/token": (FORM, JSON),
    "/oauth/revoke": (FORM, JSON),
    "/oauth/introspect": (FORM, JSON),
    "/oauth/device/code": (FORM, JSON),
    "/oidc/register": (JSON,),
    "/backchannel-logout/Oidc": (FORM,),
    "/oauth/global-token-revocation/connection/Oidc": (JSON,),
}
PAGES = {"/authorize": (FORM,), "/login/callback": (FORM,), "/login/callback/Saml": (FORM,), "/samlp/Saml/slo": (FORM,)}
ALL = [(path, kind) for path, kinds in (PROGRAMS | PAGES).items() for kind in kinds]


@pytest.fixture(autouse=True)
def _connections():
    make_connection("Oidc", "oidc", options={"issuer": "https://op.example"})
    make_connection("Saml", "samlp")
    tenant = configuration.load_tenant()
    tenant.dynamic_client_registration = True
    tenant.save()


def _post(path, body, kind):
    return Client().generic("POST", path, body, content_type=kind)


@pytest.mark.parametrize("path", PROGRAMS | PAGES)
@pytest.mark.parametrize("kind", ["text/plain", "", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_is_refused_with_the_types_that_are_read(path, kind):
    answer = _post(path, "a=1", kind)
    assert answer.status_code == 415
    assert " or ".join((PROGRAMS | PAGES)[path]) in answer.content.decode()


@pytest.mark.parametrize(("path", "kind"), ALL)
def test_a_body_that_is_too_large_is_refused_with_the_limit(path, kind):
    answer = _post(path, "x" * (LONGEST_BODY + 1), kind)
    assert answer.status_code == 413
    assert re.search(r"The body may have \d+ bytes at most\.", answer.content.decode())


@pytest.mark.parametrize("path", PROGRAMS)
def test_programs_are_told_in_json(path):
    answer = _post(path, "a=1", "text/plain")
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["Content-Type"] == JSON


@pytest.mark.parametrize("path", PAGES)
def test_people_are_told_by_a_page(path):
    assert _post(path, "a=1", "text/plain").headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", [path for path, kinds in PROGRAMS.items() if JSON in kinds and "global" not in path])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"grant_type": "a", "grant_type": "b"}', "a name comes twice"),
        ('{"grant_type": "\\u0000"}', "text holds characters that are not allowed"),
        ('{"x": NaN}', "NaN is not a number"),
        ('{"x": ' + '{"x": ' * 20 + "1" + "}" * 21, "nested too deeply"),
        ("[]", "not an object"),
        ("{", "not JSON at line 1, column 2"),
    ],
)
def test_json_that_two_readers_could_understand_in_two_ways_is_refused_by_each_in_the_same_words(path, body, why):
    answer = _post(path, body, JSON)
    assert answer.status_code == 400
    assert answer.json()["error_description"] == f"The body cannot be read as a JSON object: {why}."


def test_nobody_else_reads_bodies_or_json_of_others():
    bodies = {"idp/http/request_body.py", "idp/views/errors.py", "idp/http/serving/environ.py"}
    bodies.add("idp/scim/handler.py")  # of scim2-server's request, which a body that was read here is given to
    json_of_ours = {
        *(
            "idp/operations/demo.py",
            "idp/crypto/keys.py",
            "idp/people/imported_hashes.py",
            "sessions_app/oauth/minting.py",
            "sessions_app/oauth/toolkit.py",
        ),
        "logout_app/protocol/envelope.py",  # of our own queue, and a list
    }
    assert _files(r"\bRequestDataTooBig\b|\brequest\.body\b|\brequest\.read\(") <= bodies | {
        "logout_app/gtr/revocation.py"
    }
    assert _files(r"\bjson\.loads?\(") <= json_of_ours | {"idp/protocol/strict_json.py"}


def _files(pattern):
    sources = [path for app in ("idp", "sessions_app", "logout_app") for path in (ROOT / app).rglob("*.py")]
    return {str(path.relative_to(ROOT)) for path in sources if re.search(pattern, path.read_text())}
