"""What browsers report of our Content-Security-Policy is counted for /metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.dispatch import receiver

from idp.signals import policy_violated
from logout_app.delivery import tallies

METRIC = "csp"


@receiver(policy_violated)
def count(sender: object, counts: Mapping[str, int], **_: Any) -> None:
    tallies.add({(METRIC, directive): number for directive, number in counts.items()})
