"""Every address that answers GET, read from the URL resolver: a new one is walked by itself.

An address with parameters needs values: `VALUES` has them by the parameter's name. One that is missing there is an error,
so that nobody adds a page that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from idp.models import Strategy

Rows = Mapping[type[Model], Model]
VALUES: dict[str, str] = {
    "connection": "partner",
    "stream_id": "a" * 24,
    "client_id": "jwt-debugger",
    "token": "t" * 43,
    "reference": "r" * 43,
    "application": "1",
    "key": "1-abcdef",
    "uidb36": "1",
    "path": "userinfo",
    "name": f"{'a' * 64}.png",
    "rest": "Users",
    "app_label": "idp",
    "content_type_id": "1",
    "object_id": "1",
    "pk": "1",
}
API = "api/v2/"  # no pages: tests/protocol/api asks each operation
# The same pages with what people and programs really send.
MORE = (
    "/login?next=/account/sessions",
    "/login?choose=1",
    "/authorize?client_id=jwt-debugger&response_type=code&redirect_uri=https://jwt-debugger.example/callback",
    "/authorize?client_id=nobody",
    "/activate?user_code=WDJB-MJHT",
    "/oidc/logout?client_id=jwt-debugger",
    "/account/sessions?act=sign-out-others",
    "/admin/sessions_app/sessionevent/?q=mary@fabrikamcorp.com",
    "/admin/idp/user/?q=nobody",
    "/admin/nothing/here/",
    "/nothing/here",
    *(f"/admin/idp/connection/add/?strategy={strategy}&name=x" for strategy in Strategy.values),
)


def addresses(rows: Rows, values: Mapping[str, str] | None = None) -> list[str]:
    """Paths, each once. `rows` gives the objects of the admin's pages and of people's own."""
    known = {**VALUES, **(values or {})}
    found = [*_own(get_resolver(), (), known), *_admin(rows), *MORE]
    return list(dict.fromkeys(found))


def _own(resolver: URLResolver, spaces: tuple[str, ...], values: Mapping[str, str]) -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _own(entry, (*spaces, entry.namespace) if entry.namespace else spaces, values)
        elif not _is_of_a_table(entry, spaces) and not str(entry.pattern).startswith(API):
            yield _path(entry, spaces, values)


def _is_of_a_table(entry: URLPattern, spaces: tuple[str, ...]) -> bool:
    tables = [f"{model._meta.app_label}_{model._meta.model_name}_" for model in admin.site._registry]
    unnamed = not entry.name  # the old address of a change page, and whatever is not there
    return spaces == ("admin",) and (unnamed or any((entry.name or "").startswith(table) for table in tables))


def _path(entry: URLPattern, spaces: tuple[str, ...], values: Mapping[str, str]) -> str:
    names = entry.pattern.regex.groupindex
    missing = sorted(set(names) - set(values))
    assert not missing, f"{entry.pattern}: say in tests/support/site_map.py what to put into {', '.join(missing)}"
    name = ":".join((*spaces, entry.name or ""))
    try:
        return reverse(name, kwargs={parameter: values[parameter] for parameter in names})
    except NoReverseMatch:
        assert not names, f"{entry.pattern} has no name, so it cannot be walked"
        return f"/{str(entry.pattern).lstrip('^').rstrip('$')}"


def _admin(rows: Rows) -> Iterator[str]:
    for model, page in admin.site._registry.items():
        url = _urls_of(model)
        yield url("changelist")
        yield url("add")
        for pk in dict.fromkeys([rows[model].pk if model in rows else 1, 999_999]):
            yield from (url(name, pk) for name in ("change", "history", "delete"))
            acts = [act.name for act in page.get_acts()] if hasattr(page, "get_acts") else []
            yield from (url("act", pk, act) for act in acts)
        yield from _other_pages(model, rows)


def _urls_of(model: type[Model]) -> Callable[..., str]:
    def url(page: str, *args: Any) -> str:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)

    return url


def _other_pages(model: type[Model], rows: Rows) -> Iterator[str]:
    """What an admin adds in `get_urls` beside Django's pages and acts."""
    usual = {"changelist", "add", "change", "history", "delete", "act"}
    prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
    for entry in admin.site._registry[model].get_urls():
        name = (entry.name or "").removeprefix(prefix)
        if isinstance(entry, URLPattern) and entry.name and name not in usual:
            args = dict.fromkeys(entry.pattern.regex.groupindex, rows[model].pk if model in rows else 1)
            yield reverse(f"admin:{entry.name}", kwargs=args)
