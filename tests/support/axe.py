"""axe-core in a page as it is, with its own Content-Security-Policy (evaluate() needs no script tag)."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.support.stack import ROOT

SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
# What is right is not told: on a page of lists that is a megabyte.
RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then(found => found.violations)"

SOME = "rules => axe.run(document, {runOnly: {type: 'rule', values: rules}, resultTypes: ['violations']}).then(found => found.violations)"


def problems(page: Page) -> list[str]:
    """What axe finds wrong, one line each: rule, target, what is the matter."""
    _load(page)
    found: list[dict[str, Any]] = page.evaluate(RUN, TAGS)
    return [f"{rule['id']} at {node['target']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def again(page: Page) -> list[str]:
    """What differs with colours and widths, on a page that `problems` has looked at here or in another test."""
    _load(page)
    found: list[dict[str, Any]] = page.evaluate(SOME, ["color-contrast", "target-size"])
    return [f"{rule['id']} at {node['target']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def _load(page: Page) -> None:
    if not page.evaluate("'axe' in window"):
        page.evaluate(SOURCE.read_text())
