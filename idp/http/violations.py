"""What browsers report that our Content-Security-Policy forbade: read without anything of it that could be a secret.

Two forms come. `report-uri` (CSP 3 section 5.5): one object, `application/csp-report`, names with hyphens; Safari, Firefox, and
Chromium where the issuer is not https. `report-to` (Reporting API section 3.4): a list of reports of any type,
`application/reports+json`, names in camel case, up to a minute late. Whoever reaches us can send either: nothing in it is proved.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.http.content_policy import FORM_ACTION
from idp.operations.masking import mask
from idp.protocol import strict_json

ONE = "application/csp-report"
MANY = "application/reports+json"
LARGEST = 64 * 1024  # bytes of a body: our longest policy is 2 kB, and a browser gathers some reports for a minute
LONGEST = 200  # characters of anything that goes into the log
OTHER, EXTENSION = "other", "extension"
# CSP 3 section 6. Labels of a metric: whatever else is said is `other`.
DIRECTIVES = frozenset(
    f"{name}-src"
    for name in (
        "child", "connect", "default", "font", "frame", "img", "manifest", "media", "object", "script", "style", "worker",
    )
) | {
    "base-uri", FORM_ACTION, "frame-ancestors", "script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem",
}  # fmt: skip
WORDS = frozenset({"inline", "eval", "wasm-eval", "trusted-types-policy", "trusted-types-sink", "self", "data", "blob"})
EXTENSIONS = frozenset(
    {"chrome-extension", "moz-extension", "safari-extension", "safari-web-extension", "webkit-masked-url"}
)


@dataclass(frozen=True, slots=True)
class Violation:
    directive: str  # one of DIRECTIVES, `other`, or `extension`: something that the browser's owner put into the page
    page: str  # the path, without its secrets
    blocked: str  # a word of the specification, or an origin
    source: str  # a path of ours, or an origin
    line: int
    enforced: bool


def read(body: bytes, media_type: str, origin: str) -> list[Violation]:
    """Those of pages of `origin` that are reported in `body`. Raises ValueError: why it is no report, as the end of a sentence."""
    return [found for report in _reports(body, media_type) if (found := _violation(report, origin))]


def _reports(body: bytes, media_type: str) -> Iterator[Mapping[str, Any]]:
    if media_type == ONE:
        report = strict_json.parse_object(body).get("csp-report")
        if not isinstance(report, dict):
            raise ValueError("without an object csp-report")
        yield report
        return
    reports = strict_json.parse(body)
    if not isinstance(reports, list) or not all(isinstance(report, dict) for report in reports):
        raise ValueError("not a list of reports")
    for report in reports:
        if report.get("type") == "csp-violation" and isinstance(report.get("body"), dict):
            yield report["body"]


def _violation(report: Mapping[str, Any], origin: str) -> Violation | None:
    page = _text(report, "document-uri", "documentURL")
    if _origin(page) != origin:
        return None
    blocked, source = _text(report, "blocked-uri", "blockedURL"), _text(report, "source-file", "sourceFile")
    said = _text(report, "effective-directive", "effectiveDirective") or _text(report, "violated-directive")
    directive = said.partition(" ")[0].lower()  # older browsers say the whole directive
    if EXTENSIONS & {_scheme(blocked), _scheme(source)}:
        directive = EXTENSION
    line = report.get("line-number", report.get("lineNumber"))
    return Violation(
        directive=directive if directive in DIRECTIVES | {EXTENSION} else OTHER,
        page=_path(page),
        blocked=blocked if blocked in WORDS else _shown(blocked, origin),
        source=_shown(source, origin),
        line=line if isinstance(line, int) and 0 <= line < 1_000_000 else 0,
        enforced=report.get("disposition", "enforce") != "report",
    )


def _text(report: Mapping[str, Any], *names: str) -> str:
    value = next((report[name] for name in names if name in report), "")
    return value if isinstance(value, str) else ""


def _shown(url: str, origin: str) -> str:
    """A path of ours; of anybody else the origin or the scheme only, as their paths may be secrets that we do not know."""
    found = _origin(url)
    return _path(url) if found == origin else found or _scheme(url)[:LONGEST]


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
    return f"{parts.scheme}://{netloc}"[:LONGEST] if parts.scheme in ("http", "https") and netloc else ""


def _path(url: str) -> str:
    return mask(urlsplit(url).path)[:LONGEST]


def _scheme(url: str) -> str:
    """Browsers say no more than the scheme of what is not http (CSP 3 section 5.4), with or without a colon."""
    return url.partition(":")[0].lower()


class Budget:
    """How many violations this process takes note of: `most` at once, and so many in each minute. All others are counted only."""

    def __init__(self, most: int) -> None:
        self._most, self._left, self._filled = most, float(most), 0.0
        self._dropped = 0
        self._lock = threading.Lock()

    def take(self, wanted: int, at: float) -> int:
        """How many of `wanted` may be noted at `at`, a time that only grows, in seconds."""
        with self._lock:
            self._left = min(self._most, self._left + (at - self._filled) * self._most / 60)
            self._filled = at
            given = min(wanted, int(self._left))
            self._left -= given
            self._dropped += wanted - given
            return given

    def is_empty(self, at: float) -> bool:
        with self._lock:
            return self._left + (at - self._filled) * self._most / 60 < 1

    def drop(self) -> None:
        """A report that nobody read."""
        with self._lock:
            self._dropped += 1

    def take_dropped(self) -> int:
        """How many were dropped since this was last asked."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            return dropped
