"""Streams of a transmitter (Shared Signals Framework 1.0 sections 7 and 8): where its documents are, what we ask and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.protocol import uris
from idp.protocol.signal_events import EFFECTS

WELL_KNOWN = "/.well-known/ssf-configuration"
RISC_WELL_KNOWN = "/.well-known/risc-configuration"
DELIVERY = {"push": "urn:ietf:rfc:8935", "poll": "urn:ietf:rfc:8936"}
OLDER_DELIVERY = {name: f"https://schemas.openid.net/secevent/risc/delivery-method/{name}" for name in DELIVERY}
ENDPOINTS = ("configuration_endpoint", "status_endpoint", "verification_endpoint", "jwks_uri")
MOST_EVENTS = 25  # that we ask for in one poll: of the longest, an answer holds no more
LONGEST_TEXT = 1000


ENABLED = "enabled"
STATUSES = (ENABLED, "paused", "disabled")


class BadDocument(ValueError):
    """The words go after "The transmitter … "."""


@dataclass(frozen=True, slots=True)
class Transmitter:
    """What its metadata says; an endpoint that it does not have is ""."""

    issuer: str
    jwks_uri: str = ""
    configuration_endpoint: str = ""
    status_endpoint: str = ""
    verification_endpoint: str = ""
    critical: frozenset[str] = frozenset()
    deliveries: frozenset[str] = frozenset()  # that it offers, as far as it says
    default_subjects: str = ""  # ALL or NONE: who is in a stream that says nothing else

    def delivery_of(self, method: str) -> str:
        """The name of the method there: RISC's older one, where it knows no other."""
        older = OLDER_DELIVERY[method]
        return older if older in self.deliveries and DELIVERY[method] not in self.deliveries else DELIVERY[method]


@dataclass(frozen=True, slots=True)
class StreamConfiguration:
    """`tells_of_nobody`: its transmitter says that nobody is in it until somebody is put there (`default_subjects`)."""

    stream_id: str
    audiences: tuple[str, ...]
    endpoint: str
    tells_of_nobody: bool = False


@dataclass(frozen=True, slots=True)
class StreamStatus:
    status: str
    reason: str = ""


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata may be: between host and path as section 7.2 says, after the path as Keycloak has it, and RISC's old name."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = [f"{origin}{WELL_KNOWN}{path}", f"{origin}{path}{WELL_KNOWN}", f"{origin}{RISC_WELL_KNOWN}{path}"]
    return tuple(dict.fromkeys(found))


def read_metadata(document: Mapping[str, Any], issuer: str) -> Transmitter:
    """Raises BadDocument."""
    if document.get("issuer") != issuer:
        raise BadDocument(f"names the issuer {str(document.get('issuer'))[:200]}, but {issuer} is expected")
    found = {name: document[name] for name in ENDPOINTS if document.get(name)}
    for name, url in found.items():
        if why := uris.check_web_url(url) if isinstance(url, str) else "it must be a URL":
            raise BadDocument(f"has a {name} that cannot be used: {why}")
    critical = document.get("critical_subject_members") or []
    if not isinstance(critical, list):
        raise BadDocument("has critical_subject_members that are no list")
    offered = document.get("delivery_methods_supported")
    deliveries = frozenset(map(str, offered if isinstance(offered, list) else ()))
    default = str(document.get("default_subjects") or "")
    return Transmitter(
        issuer, critical=frozenset(map(str, critical)), deliveries=deliveries, default_subjects=default, **found
    )


def wanted(found: Transmitter, *, method: str, endpoint: str, authorization: str) -> dict[str, Any]:
    """The body that creates or changes a stream."""
    delivery: dict[str, str] = {"method": found.delivery_of(method)}
    if method == "push":
        delivery |= {"endpoint_url": endpoint, "authorization_header": authorization}
    return {"events_requested": list(EFFECTS), "delivery": delivery, "description": "Curfew"}


def read_stream(document: Mapping[str, Any], found: Transmitter, method: str) -> StreamConfiguration:
    """The answer to it. Raises BadDocument."""
    stream_id, delivery = document.get("stream_id"), document.get("delivery")
    if not isinstance(stream_id, str) or not 0 < len(stream_id) <= 255:
        raise BadDocument("answered with no stream_id")
    if document.get("iss") != found.issuer:
        raise BadDocument("answered with a stream of another issuer")
    if not isinstance(delivery, dict) or delivery.get("method") not in (DELIVERY[method], OLDER_DELIVERY[method]):
        raise BadDocument(f"answered with a stream that is not delivered by {method}")
    aud, endpoint = document.get("aud"), delivery.get("endpoint_url")
    named = tuple(aud) if isinstance(aud, list) else (aud,)
    if not named or not all(isinstance(name, str) and 0 < len(name) <= LONGEST_TEXT for name in named):
        raise BadDocument("answered with a stream without aud")
    if not isinstance(endpoint, str) or len(endpoint) > LONGEST_TEXT or uris.check_web_url(endpoint):
        raise BadDocument("answered with no endpoint_url of the delivery")
    default = document.get("default_subjects") or found.default_subjects  # Keycloak says it of each stream too
    return StreamConfiguration(stream_id, named, endpoint, default == "NONE")


def read_status(document: object) -> StreamStatus | None:
    """Of a stream, as it is asked for and as events tell it; None if it says none that there is.

    Keycloak 26.7 has the whole answer of the status endpoint as the `status` of its event.
    """
    said: Mapping[str, Any] = document if isinstance(document, Mapping) else {}
    if isinstance(nested := said.get("status"), Mapping):
        said = {"reason": said.get("reason"), **nested}
    status, reason = said.get("status"), said.get("reason")
    if status not in STATUSES:
        return None
    return StreamStatus(status, reason[:500] if isinstance(reason, str) else "")


def poll_request(ack: Sequence[str], errors: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """RFC 8936 section 2.2: never a long poll, others want the thread too."""
    body: dict[str, Any] = {"maxEvents": MOST_EVENTS, "returnImmediately": True}
    return body | ({"ack": list(ack)} if ack else {}) | ({"setErrs": dict(errors)} if errors else {})


def read_poll(document: Mapping[str, Any]) -> dict[str, str]:
    """The tokens by the id that they are acknowledged by. Whether there are more, the next answer tells. Raises BadDocument."""
    sets = document.get("sets", {})
    if not isinstance(sets, dict) or not all(isinstance(encoded, str) for encoded in sets.values()):
        raise BadDocument("answered a poll with no object of sets")
    return dict(sets)
