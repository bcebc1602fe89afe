"""Who a person is to an application: the `sub` of every token and answer (OpenID Connect Core section 8).

Pairwise ones are keyed digests: the same person and sector always give the same, and nobody but us can compare two. The
key is the tenant's own (`pairwise_salt`), which no rotation of secrets touches: a new one would make everybody a stranger.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from idp.applications.problem import Problem
from idp.protocol.clients import PAIRWISE

if TYPE_CHECKING:
    from idp.models import Application
    from idp.tenants.configuration import Snapshot


def subject_for(user_id: str, application: Application, snapshot: Snapshot) -> str:
    """`user_id` itself, unless the application has pairwise subjects."""
    if application.subject_type != PAIRWISE:
        return user_id
    said = f"{sector(application)}\n{user_id}".encode()
    digest = hmac.digest(snapshot.tenant.pairwise_salt.encode(), said, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def sector(application: Application) -> str:
    """The host that the application's people are pseudonyms for (section 8.1); its client_id where there is none."""
    if application.sector_identifier_uri:
        return urlsplit(application.sector_identifier_uri).hostname or ""
    hosts = _hosts(application)
    return hosts.pop() if len(hosts) == 1 else application.client_id


def problems(application: Application) -> Iterator[Problem]:
    if application.subject_type == PAIRWISE and not application.sector_identifier_uri and len(_hosts(application)) > 1:
        reason = "pairwise subjects of callbacks on several hosts need a sector_identifier_uri"
        yield Problem("sector_identifier_uri", reason, depends=("subject_type", "redirect_uris"))


def _hosts(application: Application) -> set[str]:
    return {host for uri in application.callbacks if (host := urlsplit(uri).hostname)}
