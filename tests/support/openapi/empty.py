"""What there is none of: lists that are empty, and things that nobody finds."""

from __future__ import annotations

from tests.support.openapi.words import Bodies, answer, many, mapping, whole

NOTHING = mapping("There are none.")
BODIES = {
    "GET organizations": Bodies(NOTHING, pages="organizations"),
    "GET organizations/{organization_id}": Bodies(NOTHING),
    "GET custom-domains": Bodies(NOTHING, pages="custom_domains"),
    "GET rules": Bodies(NOTHING, pages="rules"),
    "GET actions/actions": Bodies(
        answer({"actions": many(NOTHING), "total": whole(), "page": whole(), "per_page": whole()}), unpaged=True
    ),
    "GET emails/provider": Bodies(NOTHING, also=(404,)),
    "GET branding/templates/universal-login": Bodies(NOTHING, also=(404,)),
    "GET branding/themes/default": Bodies(NOTHING, also=(404,)),
}
