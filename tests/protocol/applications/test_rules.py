"""The rulebook of applications: every rule at every door, and what stored values do that break one. URLs are test_url_rules."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.applications import client_keys, columns, mobile, registration, rules
from idp.models import Application
from idp.protocol.errors import InvalidClient
from idp.tenants import apply as tenant
from idp.tenants import configuration
from idp.tenants.clients import KEYS
from idp.tenants.reader import TenantFileError
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import refresh, tokens_for
from tests.support.unrendered import form_of, unrendered

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")]
CALLBACK = "https://app.example/cb"
FINGERPRINT = ":".join(["AB"] * 32)


def jwk(key: Any, *, private: bool = False) -> dict[str, Any]:
    return dict(key.as_dict(private=private))


def jwks(*keys: Any) -> dict[str, Any]:
    return {"keys": list(keys)}


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SMALL = RSAKey.generate_key(1024)
EC = ECKey.generate_key("P-256")
PUBLIC = jwk(EC)


@dataclass(frozen=True)
class Case:
    """What no application may be, as columns beside those of a good one, and the column that is complained about."""

    field: str
    columns: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.field}: {self.columns}"[:120]


def by_keys(**more: Any) -> dict[str, Any]:
    return {"token_endpoint_auth_method": "private_key_jwt", **more}


def one_wrong_number(field: str) -> Iterator[Case]:
    bounds = columns.NUMBERS[field]
    for value in (bounds.least - 1, bounds.most + 1):
        yield Case(field, {field: value})


WRONG_MAPPINGS: tuple[Any, ...] = (
    "groups",
    {"from": "groups"},
    {"claim": "roles"},
    {"claim": "", "from": "groups"},
    {"claim": " roles", "from": "groups"},
    {"claim": "x" * 256, "from": "groups"},
    {"claim": "sub", "from": "groups"},
    {"claim": "sid", "from": "groups"},
    {"claim": "roles", "from": "groups["},
    {"claim": "roles", "from": ["groups"]},
    {"claim": "roles", "from": "x" * 2001},
    {"claim": "roles", "from": "groups" + " | [@, @][]" * 60},
    {"claim": "roles", "from": "groups", "in": []},
    {"claim": "roles", "from": "groups", "in": ["logout_token"]},
    {"claim": "roles", "from": "groups", "in": "id_token"},
    {"claim": "roles", "from": "groups", "scope": "roles"},
)
CASES = (
    Case("name", {"name": "right\u202eleft"}),
    Case("name", {"name": "x" * 256}),
    Case("client_id", {"client_id": "two words"}),
    Case("client_id", {"client_id": "ünicode"}),
    Case("client_id", {"client_id": "x" * 101}),
    Case("app_type", {"app_type": "television"}),
    Case("token_endpoint_auth_method", {"token_endpoint_auth_method": "tls_client_auth"}),
    Case("id_token_signed_response_alg", {"id_token_signed_response_alg": "HS256"}),
    Case("id_token_signed_response_alg", {"id_token_signed_response_alg": "none"}),
    Case("userinfo_signed_response_alg", {"userinfo_signed_response_alg": "none"}),
    Case("userinfo_signed_response_alg", {"userinfo_signed_response_alg": "HS256"}),
    Case("android_package_name", {"android_package_name": "nodots", "android_fingerprints": FINGERPRINT}),
    Case("android_package_name", {"android_package_name": "com.example.app"}),
    Case("android_package_name", {"android_fingerprints": FINGERPRINT}),
    Case("android_fingerprints", {"android_package_name": "com.example.app", "android_fingerprints": "AA:BB"}),
    Case(
        "android_fingerprints", {"android_package_name": "com.example.app", "android_fingerprints": FINGERPRINT.lower()}
    ),
    Case("ios_team_id", {"ios_team_id": "short", "ios_bundle_id": "com.example.app"}),
    Case("ios_team_id", {"ios_team_id": "9JA89QQLNQ"}),
    Case("ios_team_id", {"ios_bundle_id": "com.example.app"}),
    Case("ios_bundle_id", {"ios_team_id": "9JA89QQLNQ", "ios_bundle_id": "com.example/../app"}),
    Case("id_token_encrypted_response_alg", {"jwks": jwks(PUBLIC), "id_token_encrypted_response_alg": "RSA1_5"}),
    Case("subject_type", {"subject_type": "ephemeral"}),
    Case(
        "sector_identifier_uri",
        {"subject_type": "pairwise", "redirect_uris": "https://app.example/cb https://other.example/cb"},
    ),
    Case("backchannel_logout_token_typ", {"backchannel_logout_token_typ": "at+jwt"}),
    Case("backchannel_logout_initiators_mode", {"backchannel_logout_initiators_mode": "some"}),
    Case("backchannel_logout_initiators", {"backchannel_logout_initiators": ["boredom"]}),
    Case(
        "backchannel_logout_initiators",
        {"backchannel_logout_initiators_mode": "custom", "backchannel_logout_initiators": []},
    ),
    Case("grant_types", {"grant_types": []}),
    Case("grant_types", {"grant_types": ["password"]}),
    Case("grant_types", {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"}),
    Case("redirect_uris", {"grant_types": ["authorization_code"], "redirect_uris": ""}),
    *(case for field in columns.NUMBERS for case in one_wrong_number(field)),
    Case("access_mode", {"access_mode": "friends"}),
    Case("access_groups", {"access_mode": "groups", "access_groups": []}),
    Case("access_groups", {"access_groups": [{"connection": "Acme"}]}),
    Case("access_groups", {"access_groups": [{"name": "staff"}]}),
    Case("access_groups", {"access_groups": [{"connection": "Acme", "name": "staff", "id": "7"}]}),
    Case("access_groups", {"access_groups": [{"connection": 7, "name": "staff"}]}),
    Case("access_groups", {"access_groups": ["x" * 513]}),
    Case("access_groups", {"access_groups": [f"x{number}" for number in range(501)]}),
    *(Case("claim_mappings", {"claim_mappings": [mapping]}) for mapping in WRONG_MAPPINGS),
    Case("claim_mappings", {"claim_mappings": [{"claim": "a", "from": "groups"}, {"claim": "a", "from": "roles"}]}),
    Case("claim_mappings", {"claim_mappings": [{"claim": f"c{n}", "from": "groups"} for n in range(51)]}),
    Case("jwks", by_keys()),
    Case("jwks", {"id_token_encrypted_response_alg": "ECDH-ES"}),
    Case("jwks", by_keys(jwks=jwks(PUBLIC), jwks_uri="https://app.example/jwks.json")),
    Case("jwks", {"jwks": jwks(PUBLIC), "jwks_uri": "https://app.example/jwks.json"}),  # whatever the method
    Case("jwks", by_keys(jwks=jwks(jwk(EC, private=True)))),
    Case("jwks", {"jwks": jwks(jwk(EC, private=True))}),
    Case("jwks", by_keys(jwks=jwks(PUBLIC, jwk(RSAKey.generate_key(2048), private=True)))),
    Case("jwks", by_keys(jwks=jwks(jwk(OctKey.generate_key(256), private=True)))),
    Case("jwks", by_keys(jwks=jwks(jwk(OKPKey.generate_key("Ed25519"), private=True)))),
    Case("jwks", by_keys(jwks=jwks(jwk(SMALL)))),
    Case("jwks", by_keys(jwks=jwks({"kty": "RSA", "n": "AQAB"}))),
    Case("jwks", by_keys(jwks=jwks({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}))),
    Case("jwks", by_keys(jwks=jwks("a key"))),
    Case("jwks", by_keys(jwks={"keys": []})),
    Case("jwks", by_keys(jwks={"keys": "x"})),
    Case("jwks", by_keys(jwks={"keys": [PUBLIC] * 21})),
)
# What each door has no word for. A column that is missing here must be refused there.
UNKNOWN_TO_THE_FORM = {"client_id"}  # made by Curfew, never typed
UNKNOWN_TO_REGISTRATION = {
    *("client_id", "backchannel_logout_token_typ", "access_token_lifetime", "id_token_lifetime"),
    *("backchannel_logout_initiators_mode", "backchannel_logout_initiators"),
    *("android_package_name", "android_fingerprints", "ios_team_id", "ios_bundle_id"),
    *("refresh_token_leeway", "refresh_token_lifetime", "refresh_token_idle_lifetime"),
    *("access_mode", "access_groups", "claim_mappings"),
}
GOOD = {"name": "App", "redirect_uris": CALLBACK}


def through(door: Callable[[Case], str | None], unknown: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """The cases that this door lets in, or refuses somewhere else than where the mistake is."""
    asked = [case for case in CASES if not case.columns.keys() & unknown]
    return [f"{case.name} -> {wrong}" for case in asked if (wrong := door(case))]


def test_the_table_has_every_column_that_the_rulebook_judges() -> None:
    judged = {"name", "client_id", "grant_types", "redirect_uris", "jwks", "backchannel_logout_initiators"}
    judged |= {"sector_identifier_uri", "access_groups", "claim_mappings"}
    assert {case.field for case in CASES} == judged | {*columns.CHOSEN, *columns.NUMBERS, *mobile.FIELDS}
    assert judged | set(columns.CHOSEN) | set(columns.NUMBERS) | set(rules.RULES) <= set(KEYS)
    assert not UNKNOWN_TO_REGISTRATION & set(registration.METADATA)


def test_the_model_refuses_what_the_rules_refuse() -> None:
    def door(case: Case) -> str | None:
        try:
            Application(**GOOD | case.columns).full_clean()
        except ValidationError as error:
            return None if case.field in error.message_dict else str(error.message_dict)
        return "let in"

    assert through(door) == []


def test_the_admin_refuses_what_the_rules_refuse_beside_its_field() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    url = reverse("admin:idp_application_add") + "?kind=all"
    with unrendered():
        form = form_of(admin.get(url))
    filled = {item.html_name: item.value() for item in form if item.value() not in (None, False, "")}

    def typed(name: str, value: Any) -> Any:
        if name == "redirect_uris":
            return value.replace(" ", "\n")
        return json.dumps(value) if isinstance(value, dict) else "" if value is None else value

    as_text = {"claim_mappings": json.dumps, "access_groups": lambda groups: "\n".join(map(json.dumps, groups))}

    def door(case: Case) -> str | None:
        data = filled | {
            name: as_text[name](value) if name in as_text else typed(name, value)
            for name, value in (GOOD | case.columns).items()
        }
        answer = admin.post(url, data)
        if answer.status_code == 302:
            return "let in"
        errors = form_of(answer).errors
        return None if set(errors) == {case.field} else str(dict(errors))

    with unrendered():
        assert through(door, UNKNOWN_TO_THE_FORM) == []
    assert not Application.objects.exists()


def entry(case: Case) -> dict[str, Any]:
    """The application in the words of a tenant file."""
    found: dict[str, Any] = {}
    for column, value in (GOOD | case.columns).items():
        *sections, last = KEYS[column].split(".")
        inner = found
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last.removesuffix("[]")] = value.split() if last.endswith("[]") and isinstance(value, str) else value
    return found


def test_the_tenant_file_refuses_what_the_rules_refuse_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"

    def door(case: Case) -> str | None:
        path.write_text(json.dumps({"clients": [entry(case)]}))  # JSON is YAML
        try:
            tenant.apply(path, at=timezone.now())
        except TenantFileError as error:
            place = f"clients[0].{KEYS[case.field].removesuffix('[]')}"
            right = [problem for problem in error.problems if problem.startswith((f"{place}: ", f"{place}["))]
            return None if right == error.problems else str(error.problems)
        return "let in"

    assert through(door) == []
    assert not Application.objects.exists()


def test_registration_refuses_what_the_rules_refuse_in_its_own_form(client: Client) -> None:
    row = configuration.load_tenant()
    row.dynamic_client_registration = True
    row.save()

    def named(column: str, value: Any) -> dict[str, Any]:
        listed = KEYS[column].endswith("[]") and isinstance(value, str)
        return {registration.METADATA[column]: value.split() if listed else value}

    def door(case: Case) -> str | None:
        document: dict[str, Any] = {}
        for column, value in (GOOD | case.columns).items():
            document |= named(column, value)
        if "id_token_encrypted_response_alg" in document:
            document["id_token_encrypted_response_enc"] = "A256GCM"
        answer = client.post("/oidc/register", json.dumps(document), content_type="application/json")
        said = answer.json()
        error = "invalid_redirect_uri" if case.field == "redirect_uris" else "invalid_client_metadata"
        right = said.get("error") == error and registration.METADATA[case.field] in said["error_description"]
        return None if right else str(said)

    assert through(door, UNKNOWN_TO_REGISTRATION) == []
    assert not Application.objects.exists()


def test_a_good_application_breaks_no_rule() -> None:
    for more in ({}, by_keys(jwks=jwks(PUBLIC)), by_keys(jwks_uri="https://app.example/jwks.json")):
        assert not list(rules.problems(Application(**GOOD | more)))
    assert not list(rules.problems(Application(name="Batch", grant_types=["client_credentials"])))


# --- what only the tenant file can say: a secret -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "secret", "reason"),
    [
        ({"token_endpoint_auth_method": "none"}, "s3cret", "a public client (token_endpoint_auth_method none) has no"),
        ({"app_type": "spa"}, "s3cret", "a public client (token_endpoint_auth_method none) has no secret"),
        ({}, "client_sha256$abc", "looks like a stored hash"),
        ({}, "two\nlines", "must be printable text"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused(tmp_path: Path, more: dict[str, Any], secret: str, reason: str) -> None:
    path = tmp_path / "tenant.yaml"
    client = {"name": "App", "callbacks": [CALLBACK], "client_secret": secret, **more}
    path.write_text(json.dumps({"clients": [client]}))
    with pytest.raises(TenantFileError) as caught:
        tenant.apply(path, at=timezone.now())
    (problem,) = caught.value.problems
    assert problem.startswith(f"clients[0].client_secret: {reason}")


# --- a file that says a part is judged with the whole ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "said", "place"),
    [
        ({"grant_types": ["client_credentials"]}, {"token_endpoint_auth_method": "none"}, "grant_types"),
        ({"jwks": jwks(PUBLIC)}, {"jwks_uri": "https://app.example/jwks.json"}, "jwks"),
        ({}, {"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"redirect_uris": "", "grant_types": ["client_credentials"]}, {"grant_types": ["authorization_code"]}, "call"),
    ],
)
def test_a_file_that_says_a_part_is_judged_with_what_is_stored(
    tmp_path: Path, stored: dict[str, Any], said: dict[str, Any], place: str
) -> None:
    make_application("App", client_id="app", **stored)
    path = tmp_path / "tenant.yaml"
    path.write_text(json.dumps({"clients": [{"name": "App", "client_id": "app", **said}]}))
    with pytest.raises(TenantFileError) as caught:
        tenant.apply(path, at=timezone.now())
    (problem,) = caught.value.problems
    assert problem.startswith(f"clients[0].{place}")


def test_a_file_that_is_silent_about_a_stored_mistake_is_applied_with_a_warning(tmp_path: Path, capsys: Any) -> None:
    make_application("App", client_id="app", refresh_token_leeway=86400, jwks=jwks(jwk(EC, private=True)))
    path = tmp_path / "tenant.yaml"
    path.write_text("clients: [{name: App, client_id: app, is_first_party: false}]")
    call_command("apply", str(path))
    warned = capsys.readouterr().err
    assert (
        "App: 86400 of refresh_token.leeway is kept, but 600 is used: it must be a whole number from 0 to 600" in warned
    )
    assert "App: jwks is kept: it holds a private or secret key" in warned
    assert not Application.objects.get().is_first_party


# --- stored values that break a rule now --------------------------------------------------------------------------------


def test_a_stored_leeway_that_is_too_long_does_not_hide_the_reuse_of_a_refresh_token() -> None:
    application = make_application("Lax", refresh_token_leeway=86400)
    first = tokens_for(make_session(make_user(), application), application)
    assert refresh(application, first["refresh_token"]).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(seconds=590), tick=True):
        assert refresh(application, first["refresh_token"]).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(seconds=611), tick=True):
        assert refresh(application, first["refresh_token"]).status_code == 400


def test_a_weak_key_proves_nothing_even_if_it_is_stored() -> None:
    strong = RSAKey.generate_key(2048, {"kid": "strong"})
    weak = RSAKey.import_key(SMALL.as_dict(private=True) | {"kid": "weak"})
    both = make_application("Both", jwks=jwks(jwk(strong), jwk(weak)), token_endpoint_auth_method="private_key_jwt")
    keys = client_keys.of(both)
    jws.deserialize_compact(jws.serialize_compact({"alg": "RS256", "kid": "strong"}, b"x", strong), keys, ["RS256"])
    assert [key.kid for key in keys.keys] == ["strong"]
    alone = make_application("Weak", jwks=jwks(jwk(weak)), token_endpoint_auth_method="private_key_jwt")
    with pytest.raises(InvalidClient) as caught:
        client_keys.of(alone)
    assert "less than 2048 bits" in caught.value.detail


def test_the_application_s_page_says_which_stored_values_break_a_rule() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    application = make_application("App", refresh_token_leeway=86400, jwks=jwks(jwk(EC, private=True)))
    page = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert "1 stored value of this application is not used" in page
    assert "<code>86400</code> (refresh_token_leeway): it must be a whole number from 0 to 600; 600 is used" in page
    assert "1 stored value of this application is still used, but would not be accepted today" in page
    assert "jwks: it holds a private or secret key" in page
    assert str(jwk(EC, private=True)["d"]) in page  # it is in the field, to be replaced
