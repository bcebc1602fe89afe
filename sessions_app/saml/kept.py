"""A sign-in request of an application while somebody signs in for it: sealed in the address of the page that waits.

Everything of it was checked when it came. It belongs to one browser, for an hour, and says when that browser was sent to the
login page, so that a sign-in that was asked for can neither be skipped nor loop.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from django.core import signing
from django.urls import reverse

from idp.protocol.errors import InvalidRequest
from idp.protocol.opaque import digest
from sessions_app.saml.authn_request import AskedContext

PARAMETER = "curfew_request"
ERROR = "curfew_error"  # ours: the person gave up, and the application is to hear of it
LIFETIME = timedelta(hours=1)
_SALT = "curfew.saml.request"
SAML, WSFED = "samlp", "wsfed"
_PATH = re.compile(rf"/({SAML}|{WSFED})/([^/]+)")
_PAGES = {SAML: "saml_sign_on", WSFED: "wsfed"}


@dataclass(frozen=True, slots=True)
class SamlRequest:
    """`id` is "" where nobody asked; `is_proven` if the application signed it; `sent_to_login` is None until the browser was
    sent there. By WS-Federation `acs` is wreply and `relay_state` is wctx; `max_age`: seconds."""

    client_id: str
    id: str
    acs: str
    relay_state: str = ""
    force: bool = False
    passive: bool = False
    name_id_format: str = ""
    context: AskedContext = field(default_factory=AskedContext)
    sent_to_login: datetime | None = None
    asked_upstream: bool = False
    is_proven: bool = False
    max_age: int | None = None
    protocol: str = SAML


_KEPT = {each.name for each in fields(SamlRequest)} | {"browser"}


def address(request: SamlRequest, browser: str) -> str:
    """The path that goes on with it in this browser."""
    facts = asdict(request) | {"browser": digest(browser)}
    facts["sent_to_login"] = request.sent_to_login and request.sent_to_login.timestamp()
    query = urlencode({PARAMETER: signing.dumps(facts, salt=_SALT, compress=True)})
    return f"{reverse(_PAGES[request.protocol], args=[request.client_id])}?{query}"


def opened(value: str, client_id: str, browser: str, protocol: str = SAML) -> SamlRequest:
    """Raises InvalidRequest for another browser, another application, another protocol, and after an hour."""
    facts = _facts(value)
    whose = (client_id, protocol, digest(browser))
    if facts is None or (facts["client_id"], facts["protocol"], facts.pop("browser")) != whose:
        raise InvalidRequest("This sign-in was begun too long ago, or elsewhere. Start again at the application.")
    return _request(facts)


def behind(url: str) -> SamlRequest | None:
    """The request that waits behind a path of ours, for the login page in front of it; nothing is decided by that."""
    parts = urlsplit(url)
    path = _PATH.fullmatch(parts.path)
    if path is None:
        return None
    values = parse_qs(parts.query).get(PARAMETER, [])
    facts = _facts(values[0]) if len(values) == 1 else None
    if facts is None or (facts["protocol"], facts["client_id"]) != path.groups():
        return None
    del facts["browser"]
    return _request(facts)


def is_waiting(url: str) -> bool:
    """Whether a path is one of ours that goes on with a request: no other below these is a page."""
    parts = urlsplit(url)
    return _PATH.fullmatch(parts.path) is not None and parts.query.startswith(f"{PARAMETER}=")


def sent(request: SamlRequest, at: datetime) -> SamlRequest:
    return replace(request, sent_to_login=at)


def _facts(value: str) -> dict[str, object] | None:
    try:
        found: dict[str, object] = signing.loads(value, salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:
        return None
    return found if found.keys() == _KEPT else None  # another release sealed it


def _request(facts: dict[str, object]) -> SamlRequest:
    context, moment = facts["context"], facts["sent_to_login"]
    assert isinstance(context, dict)  # noqa: S101  as `address` wrote it
    asked = AskedContext(tuple(context["classes"]), context["comparison"])
    when = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else None
    return SamlRequest(**{**facts, "context": asked, "sent_to_login": when})  # type: ignore[arg-type]
