"""Bodies: strict JSON, and readers that take known keys only. The tenant file's readers read the same shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from idp.http import request_body
from idp.protocol import strict_json
from idp.protocol.text.storable import UNSTORABLE
from idp.tenants.reader import Reader
from logout_app.api.frame.errors import ApiError, invalid_body

NOWHERE = Path("/nonexistent")


class BodyReader(Reader):
    """A secret is text here: what the tenant file finds in the environment or in files is the server's own."""

    def _referenced(self, key: str, value: dict[str, Any]) -> str | None:
        self.problem(key, "a secret is text")
        return None


def read(request: HttpRequest, *, takes_list: bool) -> Any:
    """The JSON of a request, {} without a body. Raises ApiError and ProtocolError."""
    if not request.headers.get("Content-Length", "").strip("0") and "Transfer-Encoding" not in request.headers:
        return [] if takes_list else {}
    text = request_body.read(request, request_body.JSON)
    if not text.strip():
        return [] if takes_list else {}
    try:
        value = strict_json.parse(text)
    except ValueError as error:
        raise ApiError(400, f"Invalid request payload JSON format: {error}", "invalid_body") from None
    wanted = list if takes_list else dict
    if not isinstance(value, wanted):
        raise invalid_body(f"'Expected type {'array' if takes_list else 'object'}'.")
    return value


@dataclass(frozen=True, slots=True)
class Form:
    fields: dict[str, str]
    files: dict[str, UploadedFile[Any]]


def read_form(request: HttpRequest) -> Form:
    """A multipart body. A field that comes twice is refused: who reads the other one would act on something else."""
    fields, files = request_body.multipart(request)
    if any(UNSTORABLE.search(text) for name in fields for text in (name, str(fields[name]))):
        raise invalid_body("a field holds a character that cannot be stored")
    for name in (*fields, *files):
        values = [*fields.getlist(name), *files.getlist(name)]
        if len(values) > 1:
            raise invalid_body(f"{name[:50]!r} comes twice")
    return Form(
        {name: str(fields[name]) for name in fields},
        {name: found for name in files if isinstance(found := files[name], UploadedFile)},
    )


@contextmanager
def reading(body: Mapping[str, Any], place: str = "") -> Iterator[BodyReader]:
    """A reader of the whole body; afterwards what nobody took, or what is wrong, is one refusal.

    `place`: as what kind of entry of a tenant file (`clients`, `connections`), which decides what of Auth0's is ignored.
    """
    problems: list[str] = []
    reader = BodyReader(dict(body), place, problems, NOWHERE)
    yield reader
    reader.done()
    refuse(problems, place)


def refuse(problems: list[str], place: str = "") -> None:
    if problems:
        said = [problem.removeprefix(f"{place}.") if place else problem for problem in problems]
        raise invalid_body("; ".join(said[:20]))
