"""What somebody types to find lines of the audit trail, as a condition on them."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from django.db.models import Q, QuerySet

from sessions_app.audit import events
from sessions_app.audit.events import EventType

REFERENCE_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # without those that look like others: I, L, O, U, 0, 1
_REFERENCE = re.compile(f"([{REFERENCE_LETTERS}]{{4}})[ -]?([{REFERENCE_LETTERS}]{{4}})")


def matching(typed: str, *, people: QuerySet[Any, Any], applications: QuerySet[Any, Any]) -> Q:
    """Lines of which one fact is this, or that are called so, or whose person (`sub`) or application (`client_id`) is."""
    same = Q(sid=typed) | Q(sub=typed) | Q(client_id=typed) | Q(connection__iexact=typed)
    done_by = Q(actor=typed) | Q(actor__endswith=f":{typed}")
    kind = Q(type__in=events.called(typed)) | Q(initiator=typed.lower())
    named = Q(sub__in=people) | Q(client_id__in=applications)
    return same | done_by | kind | named | _from(typed) | _referred_to(typed)


def _referred_to(typed: str) -> Q:
    """The line that a page told somebody the reference of, however they wrote it down."""
    found = _REFERENCE.fullmatch(typed.strip().upper())
    if found is None:
        return Q()
    return Q(type=EventType.UPSTREAM_SIGN_IN_FAILED, data__reference=f"{found[1]}-{found[2]}")


def _from(typed: str) -> Q:
    """An address of the network, however it is written."""
    try:
        return Q(ip=str(ipaddress.ip_address(typed)))
    except ValueError:
        return Q()
