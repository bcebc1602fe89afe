"""Where an exported tenant file says that its secrets are: in the environment, under names that say whose they are."""

from __future__ import annotations

import re


class SecretNames:
    """One name for each secret of a file. `used` are those that were given away, in their order."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def reference(self, *words: str) -> dict[str, str]:
        stem = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")
        name, number = stem, 1
        while name in self.used:
            number += 1
            name = f"{stem}_{number}"
        self.used.append(name)
        return {"env": name}
