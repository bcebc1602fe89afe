"""Every request to applications and identity providers goes through here: one policy for all transports."""

from __future__ import annotations

import functools

from django.conf import settings

from idp.outbound import policy
from idp.outbound.proxy import Proxy


def rules() -> policy.Rules:
    """The rules of this installation's settings."""
    return _rules(
        tuple(settings.OUTBOUND_ALLOW), tuple(settings.OUTBOUND_PORTS), settings.ISSUER_ORIGIN, settings.OUTBOUND_PROXY
    )


@functools.lru_cache(maxsize=8)
def _rules(allow: tuple[str, ...], ports: tuple[str, ...], own_origin: str, proxy: Proxy | None) -> policy.Rules:
    return policy.rules_of(allow=allow, ports=ports, own_origin=own_origin, proxy=proxy)
