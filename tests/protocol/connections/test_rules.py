"""The rulebook of connections: every rule at every door. What the options of one strategy mean is tested beside it."""

from __future__ import annotations

import datetime
import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from django.forms import CharField, ChoiceField
from django.urls import reverse
from django.utils import timezone

from idp.admin.connections.by_strategy import FORMS
from idp.connections import option_types, rules
from idp.connections.options import KEYS, SECRETS
from idp.models import Connection, Strategy
from idp.tenants import apply as tenant
from idp.tenants.reader import TenantFileError
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.unrendered import form_of, unrendered
from tests.support.upstreams.scripted_saml import make_key

pytestmark = pytest.mark.django_db
OKTA = {"domain": "fabrikam.okta.com", "client_id": "0oa1"}
SAML = {"signInEndpoint": "https://idp.example/sso", "signingCert": make_key().certificate}
PRIVATE = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
# Columns of a connection that may not be, and the column or the option that is complained about.
COLUMNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("name", {"name": "two words"}),
    ("name", {"name": "a--b"}),
    ("name", {"name": "acme\n"}),
    ("name", {"name": "x" * 129}),
    ("strategy", {"strategy": "facebook"}),
    ("display_name", {"display_name": "right\u202eleft"}),
    ("icon_url", {"icon_url": "http://cdn.example/icon.png"}),
    ("icon_url", {"icon_url": "javascript:alert(1)"}),
)
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("auth0", "passwordPolicy", {"passwordPolicy": "hard"}),
    ("auth0", "brute_force_protection", {"brute_force_protection": "yes"}),
    ("auth0", "requires_username", {"requires_username": 1}),
    ("auth0", "domain_aliases", {"domain_aliases": ["fabrikam"]}),
    ("auth0", "domain_aliases", {"domain_aliases": "fabrikamcorp.com"}),
    ("auth0", "typo", {"typo": True}),
    ("auth0", "passkey_options", {"passkey_options": {"typo": True}}),
    ("auth0", "passkey_options.enabled", {"passkey_options": {"enabled": "yes"}}),
    ("auth0", "passkey_options.challenge_ui", {"passkey_options": {"challenge_ui": "loud"}}),
    ("auth0", "passkey_options.challenge_ui", {"passkey_options": {"challenge_ui": ["button"]}}),
    ("okta", "client_secret", {**OKTA, "client_secret": "in clear"}),
    ("okta", "client_id", {"domain": "fabrikam.okta.com"}),
    ("okta", "issuer", {**OKTA, "issuer": "http://login.example.com/"}),
    ("okta", "jwks_uri", {**OKTA, "jwks_uri": "https://user@login.example.com/keys"}),
    ("okta", "logout.url", {**OKTA, "logout": {"url": "ftp://login.example.com/"}}),
    ("okta", "logout.hint", {**OKTA, "logout": {"hint": "sid"}}),
    ("okta", "upstream_params", {**OKTA, "upstream_params": "prompt"}),
    ("okta", "scope", {**OKTA, "scope": ["openid", 7]}),
    ("okta", "attribute_map", {**OKTA, "attribute_map": {"mapping_mode": "nul\x00"}}),
    ("okta", "attribute_map", {**OKTA, "attribute_map": {"attributes": datetime.date(2026, 1, 1)}}),
    ("samlp", "signingCert", {**SAML, "signingCert": make_key().certificate + PRIVATE}),
    ("samlp", "signingCert", {**SAML, "signingCert": b64encode((SAML["signingCert"] + PRIVATE).encode()).decode()}),
    ("samlp", "signingCert", {"signInEndpoint": "https://idp.example/sso"}),
    ("samlp", "signSAMLRequest", {**SAML, "signSAMLRequest": "true"}),
    ("samlp", "metadataXml", {"metadataXml": "x" * (option_types.LONGEST + 1)}),
    ("ad", "servers", {"servers": ["ldap://dc1.example.com"], "base_dn": "dc=example,dc=com"}),
    (
        "ad",
        "ca_certificate",
        {
            "servers": ["ldaps://dc1.example.com"],
            "base_dn": "dc=example,dc=com",
            "ca_certificate": make_key().certificate + PRIVATE,
        },
    ),
)


def test_every_option_has_a_type() -> None:
    typed = option_types.BOOLEANS | option_types.LISTS | option_types.MAPPINGS | option_types.URLS
    known = frozenset().union(*KEYS.values())
    assert typed | option_types.CHOICES.keys() <= known  # the others are text
    for key in typed:
        assert option_types.problem(key, 7), key
    for key in known - typed - SECRETS:
        assert option_types.problem(key, {"a": "mapping"}), key


def test_the_rules_refuse_each() -> None:
    good = {"name": "acme", "strategy": "auth0"}
    for field, columns in COLUMNS:
        assert [problem.field for problem in rules.problems(Connection(**good | columns))] == [field], columns
    for strategy, option, options in OPTIONS:
        found = list(rules.problems(Connection(name="acme", strategy=strategy, options=options)))
        assert {(problem.field, problem.option) for problem in found} == {("options", option)}, options


def refused(path: Path, entry: dict[str, Any]) -> list[str]:
    path.write_text(yaml.safe_dump({"connections": [entry]}))
    with pytest.raises(TenantFileError) as caught:
        tenant.apply(path, at=timezone.now())
    return caught.value.problems


def test_the_tenant_file_refuses_each_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    good = {"name": "acme", "strategy": "auth0"}
    for field, columns in COLUMNS:
        looks = {"options": columns} if field == "icon_url" else columns
        place = "options.icon_url" if field == "icon_url" else field
        (problem,) = refused(path, good | looks)
        assert problem.startswith(f"connections[0].{place}: "), columns
    for strategy, option, options in OPTIONS:
        if option == "client_secret":
            continue  # in a file it is the secret itself, which is sealed
        (problem,) = refused(path, {"name": "acme", "strategy": strategy, "options": options})
        assert problem.startswith(f"connections[0].options.{option}: "), options
    assert not Connection.objects.exists()


def typed(form: Any, options: dict[str, Any]) -> dict[str, Any] | None:
    """The options in the fields of the form, None where none can say it: a box is ticked or not, a list has lines."""
    data: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for key, value in options.items():
        members = [name for name in form.fields if name.startswith(f"{key}__")]
        if key in form.fields and key in option_types.BOOLEANS | option_types.LISTS and not isinstance(value, list):
            return None
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            return None
        if members and isinstance(value, dict):
            fields = [form.fields.get(f"{key}__{member}") for member in value]
            if not all(isinstance(field, CharField | ChoiceField) for field in fields) or list in map(
                type, value.values()
            ):
                return None
            data |= {f"{key}__{member}": text for member, text in value.items()}
        elif key in form.fields and isinstance(value, list):
            data[key] = "\n".join(map(str, value))
        elif key in form.fields:
            data[key] = json.dumps(value, default=str) if isinstance(value, dict) else value
        else:
            other[key] = value
    return data | ({"other": json.dumps(other)} if other else {})


def test_the_admin_refuses_each_that_can_be_typed_beside_a_field() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    unsaid = []
    for strategy, option, options in OPTIONS:
        form = FORMS[strategy](instance=Connection(name="acme", strategy=strategy))
        data = typed(form, options)
        if data is None or option == "client_secret":
            unsaid.append(option)
            continue
        url = f"{reverse('admin:idp_connection_add')}?{urlencode({'strategy': strategy, 'name': 'acme'})}"
        needed = {"enabled_for_all": "on"} | ({"passwordPolicy": "good"} if strategy == "auth0" else {})
        with unrendered():
            answer = admin.post(url, needed | data)
        assert answer.status_code == 200, options
        errors = set(form_of(answer).errors)
        key = option.partition(".")[0]
        assert errors & {option.replace(".", "__"), key, "other"}, (options, errors)
    assert len(unsaid) <= 9, unsaid
    for field, columns in COLUMNS:
        first = {"strategy": "auth0", "name": "acme"} | columns
        if field in ("display_name", "icon_url"):
            url = f"{reverse('admin:idp_connection_add')}?{urlencode({'strategy': 'auth0', 'name': 'acme'})}"
            answer = admin.post(url, columns | {"enabled_for_all": "on", "passwordPolicy": "good"})
            assert field in answer.context["adminform"].form.errors, columns
        elif first["name"] != "acme\n":  # a field takes the line end off
            page = admin.get(f"{reverse('admin:idp_connection_add')}?{urlencode(first)}")
            assert field in page.context["form"].errors, columns
    assert not Connection.objects.exclude(name="FabrikamAD").exists()


def test_a_good_connection_breaks_no_rule() -> None:
    good: dict[str, dict[str, Any]] = {
        Strategy.DATABASE: {"passwordPolicy": "good", "brute_force_protection": True, "domain_aliases": ["a.example"]},
        Strategy.OKTA: OKTA,
        Strategy.SAML: SAML,
    }
    for strategy, options in good.items():
        assert not list(rules.problems(Connection(name="acme", strategy=strategy, options=options)))


@pytest.mark.parametrize(
    ("option", "secret", "reason"),
    [
        ("client_secret", "", "is empty"),
        ("client_secret", "nul\x00", "holds a character that cannot be stored"),
        ("client_secret", "x" * 20_001, "is longer than 20000 characters"),
        ("bind_password", "x", "is not known here"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused(option: str, secret: str, reason: str) -> None:
    assert rules.secret_problem("okta", option, secret) == reason


def test_a_stored_option_that_would_be_refused_today_is_named_on_the_page() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    row = make_connection("Shop", "auth0", options={"brute_force_protection": "yes"})
    page = admin.get(reverse("admin:idp_connection_change", args=(row.pk,))).content.decode()
    assert "would not be accepted today: brute_force_protection: must be true or false." in page
