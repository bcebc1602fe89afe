"""*Test provisioning*: what would an identity provider get? Its first questions are asked, and nothing is written.

With a token in hand they are asked from outside, at our own address. Tokens are kept as digests: without one, each living
credential is asked for inside of the process what it may read.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import requests
from scim2_models import SCIMException
from scim2_server.requests import ScimRequest

from idp import outbound
from idp.connections.checks import Finding
from idp.http.requests import RequestFacts
from idp.models import ProvisionedGroup, Provisioning
from idp.outbound import web
from idp.protocol.strict_json import parse_object
from idp.scim import applications, tokens
from idp.scim.context import SCOPES, Writer
from idp.scim.handler import Handler
from idp.scim.service import service
from idp.scim.store import Store

SOON = timedelta(days=30)
REALM = 'realm="SCIM"'
Answer = tuple[int, Mapping[str, Any]]  # status, body
Ask = Callable[[str, Mapping[str, str]], Answer]


def check(provisioning: Provisioning, raw: str, facts: RequestFacts, at: datetime) -> list[Finding]:
    """What an administrator should know. `raw`: a token to try, or "". Takes up to 30 seconds."""
    found = [_arrives(provisioning)]
    if raw:
        found.extend(_answers("With this token", _from_outside(provisioning, raw)))
    if not raw:
        found.extend(_of_credentials(provisioning, facts, at))
    if not provisioning.connection.enabled:
        found.append(Finding("error", "The connection is disabled: every request is refused with 403."))
    return [*found, *_of_tokens(provisioning, at), *_of_required_group(provisioning)]


def _get(url: str, query: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response:
    """At our own address, which is the one that nobody else must make us ask."""
    with web.session(rules=replace(outbound.rules(), own=frozenset())) as outside:
        return outside.get(url, params=query, headers=headers)


def _arrives(provisioning: Provisioning) -> Finding:
    url = f"{applications.base_url(provisioning.connection)}/ServiceProviderConfig"
    try:
        answer = _get(url, {}, {})
    except web.BlockedTarget as error:
        return Finding("warning", f"{url} cannot be asked from here: {error}. Ask it from outside.")
    except requests.RequestException:
        return Finding(
            "warning", f"{url} did not answer us here. Ask it from outside, without a token: it answers 401."
        )
    if answer.status_code == 401 and REALM in answer.headers.get("WWW-Authenticate", ""):
        return Finding("ok", f"A request to {url} arrives; without a token it was refused, as it must be.")
    return Finding(
        "error", f"{url} answered HTTP {answer.status_code}, not by us: something in front of Curfew took it."
    )


def _questions() -> Iterator[tuple[str, str, dict[str, str]]]:
    """What Okta and Entra ask when an administrator presses their own test."""
    yield "what Curfew can do", "/ServiceProviderConfig", {}
    yield "a list of people", "/Users", {"startIndex": "1", "count": "2"}
    yield (
        "a search by name",
        "/Users",
        {"filter": f'userName eq "{secrets.token_hex(8)}"', "startIndex": "1", "count": "100"},
    )


def _answers(who: str, ask: Ask) -> Iterator[Finding]:
    people = 0
    for what, path, query in _questions():
        try:
            status, body = ask(path, query)
        except requests.RequestException:
            yield Finding("warning", f"{who} {path} did not answer us here. Ask it from outside.")
            return
        if status != 200:
            yield Finding("error", f"{who} {path} is answered with {status}: {body.get('detail', 'not by us')}")
            return
        people = max(people, int(body.get("totalResults", 0)))
        if what == "a search by name" and body.get("totalResults") != 0:
            yield Finding("error", f"{who} a search for nobody found somebody.")
            return
    found = "1 person" if people == 1 else f"{people} people"
    yield Finding("ok", f"{who} an identity provider gets {', '.join(what for what, _, _ in _questions())}: {found}.")


def _from_outside(provisioning: Provisioning, raw: str) -> Ask:
    base = applications.base_url(provisioning.connection)

    def ask(path: str, query: Mapping[str, str]) -> Answer:
        headers = {"Authorization": f"Bearer {raw}", "Accept": "application/scim+json"}
        answer = _get(f"{base}{path}", query, headers)
        return answer.status_code, _read(answer.content)

    return ask


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(content)
    except ValueError:
        return {}


def _of_credentials(provisioning: Provisioning, facts: RequestFacts, at: datetime) -> Iterator[Finding]:
    living = provisioning.tokens.filter(tokens.alive(at)).order_by("pk")
    writers = [
        (f"With {row.token_id}", Writer(provisioning, row.token_id, frozenset(row.scopes), facts, at)) for row in living
    ]
    writers += [
        (f"As {application},", Writer(provisioning, application.client_id, frozenset(SCOPES), facts, at))
        for application in provisioning.applications.filter(enabled=True)
    ]
    for who, writer in writers:
        yield from _answers(who, _inside(writer))
    if not writers:
        yield Finding("error", "Nobody can write: there is no living token, and no application is chosen.")


def _inside(writer: Writer) -> Ask:
    speaker, base = service(), applications.base_url(writer.connection)

    def ask(path: str, query: Mapping[str, str]) -> Answer:
        asked = ScimRequest(method="GET", base_url=base, path=path, query=dict(query), headers={}, subject=writer)
        try:
            answer = Handler(speaker, Store(writer, writes=False)).handle(asked)
        except SCIMException as refused:
            answer = speaker.error_response(refused)
        return int(answer.status), answer.body or {}

    return ask


def _of_tokens(provisioning: Provisioning, at: datetime) -> Iterator[Finding]:
    for row in provisioning.tokens.order_by("pk"):
        if row.valid_until is None:
            continue
        if row.valid_until <= at:
            yield Finding("warning", f"{row.token_id} has expired on {row.valid_until:%Y-%m-%d}. Remove it.")
        elif row.valid_until < at + SOON:
            text = f"{row.token_id} expires on {row.valid_until:%Y-%m-%d}. Make its successor before that."
            yield Finding("warning", text, expires=True)
    if provisioning.last_request_at is None:
        yield Finding("warning", "No identity provider has asked anything yet.")


def _of_required_group(provisioning: Provisioning) -> Iterator[Finding]:
    name = provisioning.required_group
    groups = ProvisionedGroup.objects.filter(connection=provisioning.connection_id, group__name=name)
    if name and not groups.exists():
        yield Finding("error", f"No group {name} was provisioned: nobody who was provisioned can sign in.")
