"""What groups and one mapping cost a refresh, beside the same refresh without: CPU of one process, in pairs of one run.

    python bench/claims.py --pairs 8 --count 300

The person is in twenty groups; the application asks for `groups`, and one mapping makes a role of them, as Grafana reads it
(`--mapping role`), or tells only those with a prefix (`--mapping prefix`).
DATABASE_URL names an empty database that may be overwritten.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import profiling  # noqa: E402

GROUPS = [f"{kind}-{number}" for kind in ("grafana", "gitlab") for number in range(10)]
MAPPINGS = {
    "role": {"claim": "role", "from": "contains(groups, 'grafana-7') && 'Admin' || 'Viewer'", "in": ["id_token"]},
    "prefix": {"claim": "groups", "from": "groups[?starts_with(@, 'grafana-')]", "in": ["id_token"]},
}


class Refreshing(profiling.Browser):
    """Two of them refresh at two applications, of which one is told of groups."""

    def __init__(self, application: Callable[..., Any], client: dict[str, str], scope: str) -> None:
        super().__init__(application)
        self.client, self.scope = client, scope
        self.kept = self.authorize()

    def __call__(self) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": self.kept["refresh_token"]}
        self.kept.update(self.token(form))


def add_groups(mapping: str) -> None:
    from django.utils import timezone

    from idp.directory import memberships
    from idp.models import Application, Identity

    memberships.receive(Identity.objects.get(), GROUPS, at=timezone.now())
    row = Application.objects.get(client_id=profiling.CLIENTS[1]["client_id"])
    row.claim_mappings = [MAPPINGS[mapping]]
    row.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--count", type=int, default=300, help="refreshes of each measurement")
    parser.add_argument("--mapping", choices=MAPPINGS, default="role")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="curfew-claims-") as folder:
        application = profiling.prepare(Path(folder))
        add_groups(options.mapping)
        plain = Refreshing(application, profiling.CLIENTS[0], "openid offline_access")
        told = Refreshing(application, profiling.CLIENTS[1], "openid offline_access groups")
        for act in (plain, told):
            profiling.measure(act, 50)  # caches, connections, keys
        pairs = [
            (profiling.measure(plain, options.count), profiling.measure(told, options.count))
            for _ in range(options.pairs)
        ]
    ratios = sorted(with_groups / without for without, with_groups in pairs)
    for name, column in (("without", 0), ("with twenty groups and a mapping", 1)):
        print(f"{name}: {statistics.median(pair[column] for pair in pairs):.2f} ms of CPU")
    print(f"ratio: {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
