"""Auth0's `upstream_params`: what else the upstream's authorization endpoint is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.connections.contract import SignInRequest

# What an alias may stand for: the wishes that reach an upstream.
ALIASES = ("acr_values", "login_hint", "max_age", "prompt", "ui_locales")
# Ours to decide: a parameter that could change where the answer goes, what it is bound to, or how it comes.
RESERVED = frozenset(
    {"client_id", "redirect_uri", "response_type", "response_mode", "state", "nonce", "scope", "request", "request_uri"}
    | {"code_challenge", "code_challenge_method"}
)
_SHAPE = '{"value": "text"} or {"alias": "login_hint"}'


def read(value: object) -> dict[str, Any]:
    """Lenient: what `problems()` would complain about is left out."""
    pairs = value.items() if isinstance(value, Mapping) else ()
    return {name: rule for name, rule in pairs if isinstance(name, str) and not _problem(name, rule)}


def resolve(rules: Mapping[str, Any], asked: SignInRequest) -> dict[str, str]:
    """The parameters of one authorization request; an alias without a value is left out."""
    wished = {
        "acr_values": asked.acr_values,
        "login_hint": asked.login_hint,
        "max_age": "" if asked.max_age is None else str(asked.max_age),
        "prompt": "login" if asked.force else "",
        "ui_locales": asked.ui_locales,
    }
    found = {name: rule["value"] if "value" in rule else wished[rule["alias"]] for name, rule in rules.items()}
    return {name: text for name, text in found.items() if text}


def problems(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return ["upstream_params: must be an object"]
    return [sentence for name, rule in value.items() if (sentence := _problem(str(name), rule))]


def _problem(name: str, rule: object) -> str:
    if name in RESERVED:
        return f"upstream_params.{name}: cannot be set, it is decided for each sign-in"
    if not isinstance(rule, Mapping) or len(rule) != 1 or not rule.keys() <= {"value", "alias"}:
        return f"upstream_params.{name}: must be {_SHAPE}"
    if "alias" in rule and rule["alias"] not in ALIASES:
        return f"upstream_params.{name}.alias: must be one of {', '.join(ALIASES)}"
    text = next(iter(rule.values()))
    if not isinstance(text, str) or not text.isprintable() or len(text) > 1000:
        return f"upstream_params.{name}: must be printable text"
    return ""
