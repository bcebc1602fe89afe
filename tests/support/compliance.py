"""docs/specs.md from the `spec` markers of the tests: `python -m tests.support.compliance` writes it.

A marker whose section or requirement names a rule (R1-R16, B1-B16, F1-F7, S1-S5) shows that rule.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support import conformance_suite

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "specs.md"
RULE = re.compile(r"\b([RBFS])(\d{1,2})\b")

RULES = {
    "R1": "The logout endpoint takes GET and POST.",
    "R2": "`end_session_endpoint` is in the discovery document.",
    "R3": "An `id_token_hint` is validated: issuer and signature.",
    "R4": "An expired ID token is a good hint while its session is current or recent.",
    "R5": "A hint whose `sid` is neither current nor recent is suspect.",
    "R6": "`client_id` must be the client that the hint was issued to.",
    "R7": "People are asked unless the hint belongs to their current session; a yes signs out.",
    "R8": "All applications of the session are told, the initiator too.",
    "R9": "Redirects go to exactly a registered `post_logout_redirect_uri`.",
    "R10": "Without a hint there is no redirect, unless the target is confirmed by other means.",
    "R11": "After an error there is no redirect; a page of our own offers to sign out.",
    "R12": "`state` is given back, and only when it was given.",
    "R13": "Nobody signed in is no error.",
    "R14": "Unknown `ui_locales` are no error; `logout_hint` is ours to read.",
    "R15": "http post-logout URIs are for confidential clients; native applications may have their own schemes.",
    "R16": "`post_logout_redirect_uris` is client metadata.",
    "B1": "Discovery says `backchannel_logout_supported` and `backchannel_logout_session_supported`.",
    "B2": "`backchannel_logout_uri` is absolute, without fragment, keeps its query.",
    "B3": "The applications of a session are remembered and told in parallel.",
    "B4": "A logout token has iss, aud, iat, exp, jti and events, and never a nonce.",
    "B5": "A logout token without `sid` means every session of the person at that application.",
    "B6": "It is signed as ID tokens are, never with `none`.",
    "B7": "Its `typ` is `logout+jwt`; an application may ask for `JWT`.",
    "B8": "It lives for at most two minutes.",
    "B9": "`sid` is opaque, unique and random.",
    "B10": "It is sent by POST as the form field `logout_token`, alone.",
    "B11": "Only failures that may pass are tried again, after a pause.",
    "B12": "200 and 204 are success; values in an error body are not acted on.",
    "B13": "Receivers answer `Cache-Control: no-store`.",
    "B14": "A receiver validates all of the token; somebody already signed out is a success.",
    "B15": "A logout token from upstream is passed on downstream.",
    "B16": "Refresh tokens without `offline_access` end with the session, those with it stay.",
    "F1": "`frontchannel_logout_uri` has the origin of a registered redirect URI.",
    "F2": "`frontchannel_logout_session_required` sends `iss` and `sid`, both or neither.",
    "F3": "Discovery says `frontchannel_logout_supported` and `frontchannel_logout_session_supported`.",
    "F4": "One page frames all applications at once.",
    "F5": "Receivers answer `Cache-Control: no-store`.",
    "F6": "When third-party storage is blocked the page does not claim success.",
    "F7": "`sid` is hard to guess.",
    "S1": "`session_state` is in authorization responses.",
    "S2": "It is a salted hash of client, origin and browser state.",
    "S3": "`check_session_iframe` answers `changed` or `unchanged` to known origins.",
    "S4": "The cookie that scripts can read does not identify anybody.",
    "S5": "Applications do not sign in again after `error`.",
}
NOT_SUPPORTED: dict[str, str] = {
    "S5": "a rule for applications; the quickstarts say it",
}
CHAPTERS = {
    "R": "OpenID Connect RP-Initiated Logout 1.0",
    "B": "OpenID Connect Back-Channel Logout 1.0",
    "F": "OpenID Connect Front-Channel Logout 1.0",
    "S": "OpenID Connect Session Management 1.0",
}

SHORT = {  # what tests call a document -> its title
    "rp-initiated": CHAPTERS["R"],
    "backchannel": CHAPTERS["B"],
    "frontchannel": CHAPTERS["F"],
    "Back-Channel Logout 1.0": CHAPTERS["B"],
    "Front-Channel Logout 1.0": CHAPTERS["F"],
    "RP-Initiated Logout 1.0": CHAPTERS["R"],
    "Session Management 1.0": CHAPTERS["S"],
}


@dataclass(frozen=True, order=True, slots=True)
class Mark:
    document: str
    section: str
    requirement: str
    test: str


def collect(folder: Path = ROOT / "tests") -> list[Mark]:
    """Every marker, read from the sources: no test has to be importable."""
    return sorted(mark for path in folder.rglob("test_*.py") for mark in _marks(path))


def page(marks: list[Mark]) -> str:
    lines = [
        "# Specifications, rule by rule, and the tests that show them",
        "",
        "Written by `python -m tests.support.compliance` from the markers of the tests; a test fails when this page is old.",
        "",
        "## The logout specifications",
        "",
        "Numbers are ours; each stands for one sentence of the specification.",
    ]
    shown = _by_rule(marks)
    for letter, title in CHAPTERS.items():
        lines += ["", f"### {title}", "", "| rule | requirement | shown by |", "|---|---|---|"]
        for rule, text in RULES.items():
            if rule[0] == letter:
                lines.append(f"| {rule} | {text} | {_shown_by(rule, shown)} |")
    lines += ["", *conformance_suite.RESULT.splitlines(), "", "## Every marked test"]
    documents: defaultdict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        documents[mark.document].append(mark)
    for document, group in sorted(documents.items()):
        lines += ["", f"### {document}", "", "| section | requirement | test |", "|---|---|---|"]
        lines += [f"| {_cell(m.section)} | {_cell(m.requirement)} | {_code(m.test)} |" for m in group]
    return "\n".join(lines) + "\n"


def missing(marks: list[Mark]) -> list[str]:
    """Rules that no test shows and that are not listed as unsupported."""
    return sorted(RULES.keys() - _by_rule(marks).keys() - NOT_SUPPORTED.keys())


def _by_rule(marks: list[Mark]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for mark in marks:
        for letter, number in RULE.findall(f"{mark.section} {mark.requirement}"):
            found[f"{letter}{number}"].append(mark.test)
    return dict(found)


def _shown_by(rule: str, shown: dict[str, list[str]]) -> str:
    if rule in shown:
        return "<br>".join(_code(test) for test in dict.fromkeys(shown[rule]))
    reason = NOT_SUPPORTED.get(rule)
    return f"not supported: {reason}" if reason else "no test"


def _marks(path: Path) -> Iterator[Mark]:
    tree = ast.parse(path.read_text())
    names = _constants(tree)
    where = path.relative_to(ROOT).as_posix()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                yield from _calls(decorator, f"{where}::{node.name}", names)
        elif isinstance(node, ast.Assign):
            yield from _calls(node.value, where, names)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """What the module's names stand for: a document is spelt once, here or in a module of tests that this one imports."""
    imported: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            known = _constants_of(ROOT / f"{str(node.module).replace('.', '/')}.py")
            imported |= {alias.asname or alias.name: known[alias.name] for alias in node.names if alias.name in known}
    return imported | {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@cache
def _constants_of(path: Path) -> dict[str, ast.expr]:
    """Most modules of tests import the same few."""
    return _constants(ast.parse(path.read_text())) if path.exists() else {}


def _calls(expression: ast.expr, test: str, names: dict[str, ast.expr]) -> Iterator[Mark]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.spec":
            values = [value for argument in node.args for value in _strings(argument, names)]
            if len(values) != 3:
                raise ValueError(f"{test}: a spec marker has three strings")
            document, section, requirement = values
            yield Mark(SHORT.get(document, document), section, requirement, test)


def _strings(argument: ast.expr, names: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(argument, ast.Starred):
        argument = argument.value
    if isinstance(argument, ast.Name):
        argument = names[argument.id]
    if isinstance(argument, ast.Tuple):
        for element in argument.elts:
            yield from _strings(element, names)
    else:
        yield str(ast.literal_eval(argument))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(test: str) -> str:
    return f"`{test.removeprefix('tests/')}`"


if __name__ == "__main__":
    PAGE.write_text(page(collect()))
