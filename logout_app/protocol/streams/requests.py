"""What a receiver asks of the transmitter (Shared Signals Framework 1.0 section 8, RFC 8936 section 2.2). Raises InvalidRequest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.protocol import strict_json
from idp.protocol.errors import InvalidRequest
from idp.protocol.jwt_profile import is_text
from logout_app.protocol.streams import vocabulary

LONGEST_TEXT = 1000
MOST_EVENTS = 100
MOST_AUDIENCES = 10
MOST_IN_POLL = 100
LONGEST_STATE = 1000
STORED = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout")


@dataclass(frozen=True, slots=True)
class WantedDelivery:
    method: str  # as it was written
    endpoint: str = ""
    authorization: str = ""

    @property
    def is_older(self) -> bool:
        return self.method in vocabulary.OLDER

    @property
    def short(self) -> str:
        return vocabulary.SHORT[vocabulary.OLDER.get(self.method, self.method)]


@dataclass(frozen=True, slots=True)
class WantedStream:
    """What a receiver may say of its stream; None: it says nothing of it."""

    events: list[str] | None = None
    delivery: WantedDelivery | None = None
    description: str | None = None
    audiences: list[str] | None = None  # Apple says it itself
    subject_format: str = ""  # Apple too


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """One poll."""

    most: int = MOST_IN_POLL
    wait: bool = True
    acknowledged: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)  # jti -> why


def body(raw: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(raw)
    except ValueError as error:
        raise InvalidRequest(f"The body must be a JSON object: it is {error}.") from None


def stream_id(given: object) -> str:
    if not is_text(given, 255):
        raise InvalidRequest("stream_id is missing.")
    return str(given)


def wanted_stream(document: Mapping[str, Any]) -> WantedStream:
    description = document.get("description")
    if description is not None and (not isinstance(description, str) or len(description) > LONGEST_TEXT):
        raise InvalidRequest(f"description must be a text of at most {LONGEST_TEXT} characters.")
    return WantedStream(
        _texts(document, "events_requested", MOST_EVENTS),
        _delivery(document["delivery"]) if document.get("delivery") is not None else None,
        description,
        _audiences(document),
        _subject_format(document.get("format")),
    )


def unlike(document: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """The first of the transmitter's own properties that the request has otherwise (section 8.1.1.3), or ""."""
    return next((name for name in STORED if name in document and document[name] != stored.get(name)), "")


def _texts(document: Mapping[str, Any], name: str, most: int) -> list[str] | None:
    found = document.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or len(found) > most or not all(is_text(each, LONGEST_TEXT) for each in found):
        raise InvalidRequest(f"{name} must be a list of at most {most} texts.")
    return list(dict.fromkeys(found))


def _audiences(document: Mapping[str, Any]) -> list[str] | None:
    found = document.get("aud")
    return _texts({"aud": [found] if isinstance(found, str) else found}, "aud", MOST_AUDIENCES)


def _subject_format(found: object) -> str:
    """Drafts let the receiver choose it; `iss-sub` is RISC's spelling."""
    name = found.replace("-", "_") if isinstance(found, str) else ""
    return name if name in vocabulary.SUBJECT_FORMATS else ""


def _delivery(found: object) -> WantedDelivery:
    if not isinstance(found, dict):
        raise InvalidRequest("delivery must be an object.")
    method = found.get("method")
    if method not in vocabulary.SHORT and method not in vocabulary.OLDER:
        offered = " or ".join(vocabulary.SHORT)
        raise InvalidRequest(f"delivery.method must be {offered}.")
    wanted = WantedDelivery(
        str(method), str(found.get("endpoint_url") or ""), _authorization(found, older=method in vocabulary.OLDER)
    )
    if wanted.short == "push" and not is_text(found.get("endpoint_url"), LONGEST_TEXT):
        raise InvalidRequest("delivery.endpoint_url is missing: where events are to be pushed.")
    return wanted


def _authorization(delivery: Mapping[str, Any], *, older: bool) -> str:
    """Drafts had it as a token."""
    found = delivery.get("authorization_header")
    if found is None and older and is_text(delivery.get("endpoint_url_token"), LONGEST_TEXT):
        return f"Bearer {delivery['endpoint_url_token']}"
    if found is None:
        return ""
    if not is_text(found, LONGEST_TEXT) or not found.isascii():
        raise InvalidRequest(f"delivery.authorization_header must be a line of at most {LONGEST_TEXT} characters.")
    return str(found)


def status(document: Mapping[str, Any]) -> tuple[str, str]:
    """The status, and why."""
    wanted, reason = document.get("status"), document.get("reason", "")
    if wanted not in vocabulary.STATUSES:
        raise InvalidRequest(f"status must be {', '.join(vocabulary.STATUSES[:-1])} or {vocabulary.STATUSES[-1]}.")
    if not isinstance(reason, str):
        raise InvalidRequest("reason must be a text.")
    return str(wanted), reason[:500]


def subject(document: Mapping[str, Any]) -> dict[str, Any]:
    found = document.get("subject")
    if not isinstance(found, dict) or not is_text(found.get("format", found.get("subject_type")), 100):
        raise InvalidRequest("subject must be an object that says its format.")
    return found


def verification_state(document: Mapping[str, Any]) -> str | None:
    found = document.get("state")
    if found is not None and (not isinstance(found, str) or len(found) > LONGEST_STATE):
        raise InvalidRequest(f"state must be a text of at most {LONGEST_STATE} characters.")
    return found


def poll(document: Mapping[str, Any]) -> WantedEvents:
    most = document.get("maxEvents", MOST_IN_POLL)
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise InvalidRequest("maxEvents must be a number, not below 0.")
    at_once = document.get("returnImmediately", False)
    if not isinstance(at_once, bool):
        raise InvalidRequest("returnImmediately must be true or false.")
    return WantedEvents(
        min(most, MOST_IN_POLL),
        not at_once,
        tuple(_texts(document, "ack", 10_000) or ()),
        _errors(document.get("setErrs", {})),
    )


def _errors(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise InvalidRequest("setErrs must be an object of objects.")
    return {str(jti): f"{each.get('err', '')}: {each.get('description', '')}"[:500] for jti, each in found.items()}
