"""Columns of the settings that have pages of their own: judged by the rulebook, guarded and told as the settings' form does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from idp.admin.support import actor_of, author_of, said
from idp.http.requests import facts
from idp.tenants import changes, rules, trail


def require(request: HttpRequest, act: str) -> None:
    if not request.user.has_perm(f"idp.{act}_tenantsettings"):
        raise PermissionDenied


def save(request: HttpRequest, columns: Mapping[str, Any]) -> list[str]:
    """Writes them, unless something is against it: sentences, none if it is done."""
    require(request, "change")
    with transaction.atomic():
        row = trail.stored()
        before = copy.copy(row)
        for name, value in columns.items():
            setattr(row, name, value)
        found = [str(problem) for problem in rules.problems(row) if problem.field in columns]
        if found:
            return found
        refused = changes.refusal(trail.guarded(before, row), author_of(request), trail.WHY)
        if refused:
            return [said(refused, request.get_full_path())]
        row.save(update_fields=list(columns))
        trail.changed(before, row, actor=actor_of(request), at=timezone.now(), facts=facts(request))
    return []
