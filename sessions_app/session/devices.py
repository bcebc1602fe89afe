"""A browser and its system in the words of whoever reads it."""

from __future__ import annotations

from django.utils.translation import gettext

from sessions_app.protocol import user_agents


def in_words(user_agent: str) -> str:
    browser, system = user_agents.read(user_agent)
    name = browser or gettext("Unknown browser")
    return gettext("%(browser)s on %(system)s") % {"browser": name, "system": system} if system else name
