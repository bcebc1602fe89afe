"""Texts on the pages of sign-in, as Auth0 places them: prompt, screen, key. Those that there are here are `PLACES`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from idp.branding import texts
from idp.tenants import configuration, trail
from logout_app.api.frame import body
from logout_app.api.frame.errors import ApiError, invalid_body
from logout_app.api.frame.operations import PAGES, Call, Operation

# (prompt, screen, key) of Auth0 -> place of ours. `footer` stands on every page, which nothing of Auth0's does.
PLACES: Mapping[tuple[str, str, str], str] = {
    ("login", "login", "description"): "login",
    ("signup", "signup", "description"): "sign_up",
    ("logout", "logout-complete", "description"): "signed_out",
    ("common", "footer", "description"): "footer",
}
# What Auth0's tools ask for: prompts without a text of ours have none, and that is no error.
SETTINGS = {
    "universal_login_experience": "new",
    "identifier_first": False,
    "webauthn_platform_first_factor": False,
}


def settings(call: Call) -> Any:
    """There is one login page: name and password stand on it together."""
    return SETTINGS


def update_settings(call: Call) -> Any:
    for name, value in call.body.items():
        if name not in SETTINGS or not (value is None or _is_same(value, SETTINGS[name])):
            raise invalid_body(f"{name[:50]}: there is one login page here; it is {SETTINGS.get(name, 'not known')}")
    return SETTINGS


def _is_same(value: Any, known: Any) -> bool:
    """0 is not false."""
    return type(value) is type(known) and value == known


def get_text(call: Call, prompt: str, language: str) -> Any:
    """{} for a prompt or a language in which nobody wrote anything."""
    return _shape(configuration.load_tenant().texts, prompt, language)


def put_text(call: Call, prompt: str, language: str) -> Any:
    """All texts of the prompt in this language: one that is left out is taken away."""
    if language not in texts.LANGUAGES:
        raise ApiError(
            404, f"There is no language {language[:20]!r} here: {', '.join(texts.LANGUAGES)}", "inexistent_language"
        )
    said = dict(_said(prompt, call.body))
    row = trail.stored()
    before = copy.copy(row)
    written = {place: dict(found) for place, found in row.texts.items()}
    for place in (ours for key, ours in PLACES.items() if key[0] == prompt):
        written.setdefault(place, {}).pop(language, None)
        if said.get(place):
            written[place][language] = said[place]
    row.texts = {place: found for place, found in written.items() if found}
    body.refuse(list(texts.text_problems(row.texts)))
    if row.texts != before.texts:
        row.save()
        trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return _shape(row.texts, prompt, language)


def _said(prompt: str, given: Mapping[str, Any]) -> Any:
    known = [f"{screen}.{key}" for there, screen, key in PLACES if there == prompt]
    for screen, keys in given.items():
        if not isinstance(keys, dict):
            raise invalid_body(f"{screen[:50]}: must be an object")
        for key, text in keys.items():
            place = PLACES.get((prompt, screen, key))
            if text is not None and not isinstance(text, str):
                raise invalid_body(f"{screen[:50]}.{key[:50]}: must be text")
            if place is None:
                raise invalid_body(
                    f"{screen[:50]}.{key[:50]}: is not known here; of {prompt[:50]} there is {', '.join(known) or 'nothing'}"
                )
            yield place, text


def _shape(written: Mapping[str, Any], prompt: str, language: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for (there, screen, key), place in PLACES.items():
        if there == prompt and (text := written.get(place, {}).get(language)):
            found.setdefault(screen, {})[key] = text
    return found


def no_partials(call: Call, prompt: str) -> Any:
    return {}


def no_rendering(call: Call) -> Any:
    return {"configs": [], "start": 0, "limit": 50, "total": 0}


TEXT = "prompts/<str:prompt>/custom-text/<str:language>"
OPERATIONS = (
    Operation("GET", "prompts", ["read:prompts"], settings, "There is one login page."),
    Operation("PATCH", "prompts", ["update:prompts"], update_settings, "Only what it is."),
    Operation("GET", "prompts/rendering", ["read:prompts"], no_rendering, "Empty.",
              query=(*PAGES, "fields", "include_fields", "prompt", "screen", "rendering_mode")),
    Operation("GET", TEXT, ["read:prompts"], get_text, "Texts of a prompt in a language."),
    Operation("PUT", TEXT, ["update:prompts"], put_text,
              "Replace them: `login` has login.description, `signup` signup.description, `logout` logout-complete.description, "
              "`common` (ours) footer.description."),
    Operation("GET", "prompts/<str:prompt>/partials", ["read:prompts"], no_partials, "Empty: no code of a tenant runs in pages."),
)  # fmt: skip
