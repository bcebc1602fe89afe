"""Auth0's `attribute_map`: which claims of the upstream become which fields of the person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("basic_profile", "use_map", "bind_all")
BASIC, USE_MAP, BIND_ALL = MODES
SOURCES = ("tokenset", "userinfo")
# What the map may not write: it is decided by the verified token alone.
RESERVED = frozenset(
    {"sub", "iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "auth_time", "sid"}
)
_REFERENCE = re.compile(r"\$\{context\.(tokenset|userinfo)\.([^{}]{1,100})\}")


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """`attributes` is applied in the modes `use_map` (nothing else is kept) and `bind_all` (on top of all claims)."""

    mode: str = BASIC
    attributes: Mapping[str, str] = field(default_factory=dict)
    userinfo_scope: str = ""

    @property
    def needs_userinfo(self) -> bool:
        return self.mode != BASIC and any("${context.userinfo." in value for value in self.attributes.values())

    def apply(self, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The mapped fields; one whose claim is missing is left out. `sources`: tokenset and userinfo."""
        found = {name: _value(template, sources) for name, template in self.attributes.items()}
        return {name: value for name, value in found.items() if value is not None}


def _value(template: str, sources: Mapping[str, Mapping[str, Any]]) -> Any:
    """A claim as it is where the template is only a reference, else text."""
    if whole := _REFERENCE.fullmatch(template):
        return _look_up(whole, sources)
    found = [_look_up(reference, sources) for reference in _REFERENCE.finditer(template)]
    if any(not isinstance(value, str) for value in found):
        return None
    return _REFERENCE.sub(lambda reference: str(_look_up(reference, sources)), template)


def _look_up(reference: re.Match[str], sources: Mapping[str, Mapping[str, Any]]) -> Any:
    """Dots lead into objects, but a claim whose own name has dots (Okta, Auth0 namespaces) is found first."""
    claims, path = sources[reference[1]], reference[2]
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def read(value: object) -> AttributeMap:
    """Lenient: what `problems()` would complain about is left out."""
    if not isinstance(value, Mapping):
        return AttributeMap()
    attributes = value.get("attributes")
    pairs = attributes.items() if isinstance(attributes, Mapping) else ()
    mode, scope = value.get("mapping_mode"), value.get("userinfo_scope")
    return AttributeMap(
        mode if mode in MODES else BASIC,
        {name: text for name, text in pairs if isinstance(text, str) and name not in RESERVED},
        scope if isinstance(scope, str) else "",
    )


def problems(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return ["attribute_map: must be an object"]
    found = []
    if unknown := sorted(str(key) for key in value.keys() - {"mapping_mode", "attributes", "userinfo_scope"}):
        found.append(f"attribute_map: has no key {unknown[0]}")
    if value.get("mapping_mode", BASIC) not in MODES:
        found.append(f"attribute_map.mapping_mode: must be one of {', '.join(MODES)}")
    if not isinstance(value.get("userinfo_scope", ""), str):
        found.append("attribute_map.userinfo_scope: must be text with scopes in it")
    attributes = value.get("attributes", {})
    if not isinstance(attributes, Mapping):
        return [*found, "attribute_map.attributes: must be an object"]
    return found + [sentence for name, text in attributes.items() if (sentence := _problem(str(name), text))]


def _problem(name: str, text: object) -> str:
    if name in RESERVED:
        return f"attribute_map.attributes.{name}: cannot be set, the ID token decides it"
    if not isinstance(text, str):
        return f"attribute_map.attributes.{name}: must be text, like ${{context.tokenset.email}}"
    if "${" in _REFERENCE.sub("", text):
        return f"attribute_map.attributes.{name}: may refer to ${{context.tokenset.…}} and ${{context.userinfo.…}} only"
    return ""
