"""axe-core in a page as it is, with its own Content-Security-Policy (evaluate() needs no script tag)."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.support.stack import ROOT

SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def problems(page: Page) -> list[str]:
    """What axe finds wrong, one line each: rule, target, what is the matter."""
    page.evaluate(SOURCE.read_text())
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: tags})", TAGS)
    return [
        f"{rule['id']} at {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
