"""What somebody types to find lines of the audit trail, as a condition on them."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.db.models import Q, QuerySet

from sessions_app.audit import events


def matching(typed: str, *, people: QuerySet[Any, Any], applications: QuerySet[Any, Any]) -> Q:
    """Lines of which one fact is this, or that are called so, or whose person (`sub`) or application (`client_id`) is."""
    same = Q(sid=typed) | Q(sub=typed) | Q(client_id=typed) | Q(connection__iexact=typed)
    done_by = Q(actor=typed) | Q(actor__endswith=f":{typed}")
    kind = Q(type__in=events.called(typed)) | Q(initiator=typed.lower())
    named = Q(sub__in=people) | Q(client_id__in=applications)
    return same | done_by | kind | named | _from(typed)


def _from(typed: str) -> Q:
    """An address of the network, however it is written."""
    try:
        return Q(ip=str(ipaddress.ip_address(typed)))
    except ValueError:
        return Q()
