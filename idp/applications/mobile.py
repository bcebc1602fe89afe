"""Native applications that belong to this host: what they are called on Android and iOS, by Auth0's `mobile` fields, and the
two documents by which a telephone believes it (Digital Asset Links; Apple's associated domains).

Whoever is named in them opens our links below its own path by itself, and gets the passkeys that people made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from idp.applications.problem import Problem

if TYPE_CHECKING:
    from idp.models import Application

FIELDS = ("android_package_name", "android_fingerprints", "ios_team_id", "ios_bundle_id")
MOST_FINGERPRINTS = 20
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")
_TEAM = re.compile(r"[A-Z0-9]{10}")
_BUNDLE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
RELATIONS = ("delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds")


def problems(application: Application) -> Iterator[Problem]:
    """What is wrong is kept and not published."""
    yield from _android(application)
    yield from _ios(application)


def _android(application: Application) -> Iterator[Problem]:
    package, prints = application.android_package_name, application.fingerprints
    if package and not _PACKAGE.fullmatch(package):
        reason = "it must be the name of a package, like com.example.app"
        yield Problem("android_package_name", reason, package, is_used=False)
    if len(prints) > MOST_FINGERPRINTS:
        yield Problem("android_fingerprints", f"there may be {MOST_FINGERPRINTS} at most", is_used=False)
    for index, value in enumerate(prints):
        if not _FINGERPRINT.fullmatch(value):
            reason = "it must be the SHA-256 of a signing certificate: 32 pairs of 0-9 and A-F with colons between them"
            yield Problem("android_fingerprints", reason, value[:100], index, is_used=False)
    if bool(package) != bool(prints):
        reason = "a package and its fingerprints go together"
        yield Problem("android_package_name", reason, depends=("android_fingerprints",), is_used=False)


def _ios(application: Application) -> Iterator[Problem]:
    team, bundle = application.ios_team_id, application.ios_bundle_id
    if team and not _TEAM.fullmatch(team):
        reason = "it must be the ten capital letters and digits of an Apple team"
        yield Problem("ios_team_id", reason, team, is_used=False)
    if bundle and not _BUNDLE.fullmatch(bundle):
        yield Problem("ios_bundle_id", "it must be a bundle id, like com.example.app", bundle, is_used=False)
    if bool(team) != bool(bundle):
        yield Problem("ios_team_id", "a team and a bundle id go together", depends=("ios_bundle_id",), is_used=False)


def asset_links(applications: Iterable[Application]) -> list[dict[str, Any]]:
    """Of `/.well-known/assetlinks.json`: one statement for each application on Android."""
    return [
        {
            "relation": list(RELATIONS),
            "target": {
                "namespace": "android_app",
                "package_name": application.android_package_name,
                "sha256_cert_fingerprints": application.fingerprints,
            },
        }
        for application in applications
        if application.android_package_name and not any(_android(application))
    ]


def associated_domains(applications: Iterable[Application]) -> dict[str, Any]:
    """Of `/.well-known/apple-app-site-association`: links below `/ios/{bundle id}/`, and passkeys."""
    here = [row for row in applications if row.ios_bundle_id and not any(_ios(row))]
    ids = {f"{row.ios_team_id}.{row.ios_bundle_id}": f"/ios/{row.ios_bundle_id}/*" for row in here}
    return {
        "applinks": {"apps": [], "details": [{"appID": name, "paths": [path]} for name, path in ids.items()]},
        "webcredentials": {"apps": list(ids)},
    }
