"""Claims that had to be left out: written down once for each, until somebody changes the application's mappings."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from idp import signals
from idp.models import Application, ClaimTrouble
from idp.tenants.configuration import Memo, Snapshot

log = structlog.get_logger(__name__)
LONGEST_REASON = 500
_KNOWN = Memo[set[str]]("claims of an application that are known to fail")


def note(application: Application, claim: str, reason: str, snapshot: Snapshot, at: datetime) -> None:
    """No statement for a claim of which this process knows already."""
    known = snapshot.derived(_KNOWN, set[str], application.pk)
    if claim in known:
        return
    facts = {"reason": reason[:LONGEST_REASON], "first_at": at}
    with transaction.atomic():
        _, is_new = ClaimTrouble.objects.get_or_create(application=application, claim=claim, defaults=facts)
        if is_new:
            signals.claim_left_out.send(Application, application=application, claim=claim, reason=reason, at=at)
    known.add(claim)
    log.warning("claim.left_out", client_id=application.client_id, claim=claim, reason=reason)


def forget(application: Application) -> None:
    """Its mappings changed: what fails from now on is news."""
    ClaimTrouble.objects.filter(application=application).delete()
