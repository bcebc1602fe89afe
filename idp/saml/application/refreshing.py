"""Metadata by URL, once a day: an application that changes its certificate says so before it uses the new one."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from idp.applications import rules, trail
from idp.http.requests import RequestFacts
from idp.models import Application
from idp.saml.application import importing
from idp.saml.application.importing import NotImported

ACTOR = "system"
log = structlog.get_logger(__name__)


def refresh(at: datetime) -> int:
    """How many have changed. One that cannot be fetched, or would be wrong, stays as it is; the log says why."""
    rows = Application.objects.filter(enabled=True, saml__metadataUrl__isnull=False)
    return sum(
        _refresh(pk, client_id, url, at)
        for pk, client_id, url in rows.values_list("pk", "client_id", "saml__metadataUrl")
    )


def _refresh(pk: int, client_id: str, url: str, at: datetime) -> bool:
    try:
        found = importing.fetch(url)
        with transaction.atomic():
            row = Application.objects.select_for_update(no_key=True).filter(pk=pk, saml__metadataUrl=url).first()
            if row is None:
                return False  # deleted, or told another address, while theirs was asked
            before = trail.stored(row)
            given = row.saml, row.redirect_uris
            importing.apply(row, found, at, url=url)
            if (row.saml, row.redirect_uris) == given:
                return False
            if wrong := [str(problem) for problem in rules.problems(row)]:
                raise NotImported(f"what it says is against the rules: {'; '.join(wrong)}")
            row.save(update_fields=["saml", "redirect_uris", "updated"])
            trail.changed(before, row, actor=ACTOR, at=at, facts=RequestFacts())
    except NotImported as error:
        log.warning("saml.metadata_not_refreshed", client_id=client_id, reason=str(error))
        return False
    log.info("saml.metadata_refreshed", client_id=client_id)
    return True
