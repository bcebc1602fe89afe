"""What somebody types to find lines of the audit trail, as a condition on them."""

from __future__ import annotations

import ipaddress

from django.db.models import Q

from idp.search import applications, people


def matching(typed: str) -> Q:
    """Lines of which one fact is this, or whose person or application is called so."""
    same = Q(sid=typed) | Q(sub=typed) | Q(client_id=typed) | Q(connection__iexact=typed)
    done_by = Q(actor=typed) | Q(actor__endswith=f":{typed}")
    kind = Q(type=typed.lower().replace(" ", "_")) | Q(initiator=typed.lower())
    named = Q(sub__in=people(typed)) | Q(client_id__in=applications(typed))
    return same | done_by | kind | named | _from(typed)


def _from(typed: str) -> Q:
    """An address of the network, however it is written."""
    try:
        return Q(ip=str(ipaddress.ip_address(typed)))
    except ValueError:
        return Q()
