"""What fields are called in the console: words, not the names of columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client

from idp.admin.connections.by_strategy import FORMS
from idp.admin.fields import sensible
from idp.models import Connection, TenantSettings

pytestmark = [pytest.mark.django_db, pytest.mark.once]
WORDS = (
    *("acr", "acs", "api", "csp", "css", "dn", "dpop", "html", "http", "https", "id", "idp", "ids", "ip", "json"),
    *("jti", "jwk", "jwks", "jwt", "ldap", "mfa", "oauth", "oidc", "pkce", "saml", "scim", "slo", "sso", "tls", "totp", "ttl"),
    *("uri", "uris", "url", "urls", "utc", "xml"),
)  # fmt: skip
LOWERED = re.compile(rf"\b({'|'.join(word for word in WORDS)}|{'|'.join(word.capitalize() for word in WORDS)})\b")
AS_IT_IS_SENT = re.compile(r"/[\w/]+|\([a-z_]+\)")  # a path, or the name of a parameter


def labels_of(page: Any, model: type[Model], request: HttpRequest) -> Iterator[tuple[str, str]]:
    named = {*page.get_list_display(request), *page.get_readonly_fields(request, None)}
    for inline in page.inlines:
        shown = inline(model, page.admin_site)
        for name in shown.get_readonly_fields(request) or shown.fields or ():
            yield f"{inline.__name__}.{name}", label_for_field(name, inline.model, shown)
    for name in sorted(str(name) for name in named):
        yield name, label_for_field(name, model, page)
    if model is Connection or (not page.has_add_permission(request) and model is not TenantSettings):
        return  # its forms are those of its strategies; of facts there is no form
    form = page.get_form(request, None, fields=flatten_fieldsets(page.get_fieldsets(request, None)))
    for name, field in form().fields.items():
        yield name, form()[name].label or field.label


def spoken(label: object) -> str:
    return AS_IT_IS_SENT.sub("", str(label))


def of_connections() -> Iterator[tuple[str, str]]:
    for strategy, form in FORMS.items():
        filled = form(instance=Connection(name="acme", strategy=strategy))
        for name in filled.fields:
            yield f"{strategy}.{name}", filled[name].label


def test_no_label_has_an_initialism_in_small_letters_or_the_name_of_a_column(admin_request: HttpRequest) -> None:
    found = list(of_connections())
    for model, page in admin.site._registry.items():
        found += [(f"{model._meta.label}.{name}", label) for name, label in labels_of(page, model, admin_request)]
    assert len(found) > 400
    wrong = {f"{name}: {label}" for name, label in found if LOWERED.search(spoken(label)) or "_" in spoken(label)}
    assert wrong == set()


def test_every_setting_of_the_tenant_says_what_it_does(admin_request: HttpRequest) -> None:
    page = admin.site._registry[TenantSettings]
    form = page.get_form(admin_request, None)
    unsaid = {name for name, field in form.base_fields.items() if not field.help_text}
    assert unsaid <= {"no_logo", "no_logo_dark", "no_favicon"}  # ticks whose label says all


@pytest.fixture
def admin_request(admin: Client) -> HttpRequest:
    request: HttpRequest = admin.get("/admin/").wsgi_request
    return request


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("support url", "support URL"),
        ("idp initiated", "IdP initiated"),
        ("jwks uri", "JWKS URI"),
        ("redirect uris", "redirect URIs"),
        ("provided", "provided"),  # whole words only
    ],
)
def test_words_of_columns(column: str, written: str) -> None:
    assert sensible(column) == written
