"""The two commands of the README, as a stranger types the first one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import mary
from tests.support.stack import cloned


@pytest.mark.once
def test_make_run_in_a_fresh_clone_is_all_that_marys_story_needs(page: Page, tmp_path: Path) -> None:
    with cloned(tmp_path) as stack:
        mary.use_all_three(page, stack)
        mary.click_sign_out(page)
        mary.wait_for_sign_out_page(page)
        expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
        assert mary.signed_in_apps(page, stack) == []
        said = (stack.data / "make run.log").read_text()
        assert stack.credentials["mary"] in said
        tree = processes_of(stack.processes["make run"].pid)
        stack.stop("make run")
    assert len(tree) > 4
    assert not [pid for pid in tree if is_running(pid)]


def processes_of(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (facts := stat(int(folder.name))):
            children.setdefault(int(facts[1]), []).append(int(folder.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def is_running(pid: int) -> bool:
    facts = stat(pid)
    return facts is not None and facts[0] != "Z"


def stat(pid: int) -> list[str] | None:
    """State, parent ... of a process; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
