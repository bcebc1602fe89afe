"""Bodies: strict JSON, and readers that take known keys only. The tenant file's readers read the same shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from idp.http import request_body
from idp.http.serving.limits import LONGEST_BODY
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
    if request.content_type != "multipart/form-data":
        raise ApiError(415, "The body must be multipart/form-data.")
    try:
        fields, files = request.POST, request.FILES
    except RequestDataTooBig:
        raise ApiError(413, f"The body may have {LONGEST_BODY} bytes at most.") from None
    except (MultiPartParserError, UnicodeDecodeError):
        raise ApiError(400, "The body is no multipart/form-data", "invalid_body") from None
    if any(UNSTORABLE.search(text) for name, value in fields.dict().items() for text in (name, value)):
        raise invalid_body("a field holds a character that cannot be stored")
    for name in (*fields, *files):
        values = [*fields.getlist(name), *files.getlist(name)]
        if len(values) > 1:
            raise invalid_body(f"{name[:50]!r} comes twice")
    return Form(fields.dict(), {name: found for name in files if isinstance(found := files[name], UploadedFile)})


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
