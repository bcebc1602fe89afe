"""Bodies that programs, and the forms of other servers, send: one reader for every endpoint.

What is wrong with a body is a ProtocolError, which the view says in its own form, JSON or a page. Forms of our own pages are
Django's (`request.POST`).
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.utils.datastructures import MultiValueDict

from idp.http.serving.limits import LONGEST_BODY
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params, from_json, from_urlencoded

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data"


def form(request: HttpRequest) -> Params:
    """The fields of a form, repeated ones too."""
    return from_urlencoded(read(request, FORM))


def form_or_json(request: HttpRequest) -> Params:
    """The same of a form or of a JSON object, as Auth0's SDKs send it."""
    body = read(request, FORM, JSON)
    return from_json(body) if request.content_type == JSON else from_urlencoded(body)


def multipart(request: HttpRequest) -> tuple[MultiValueDict[str, str], MultiValueDict[str, UploadedFile[Any]]]:
    """Fields and files of an upload. Raises InvalidRequest with 415, 413 or 400."""
    if request.content_type != MULTIPART:
        raise InvalidRequest(f"The body must be {MULTIPART}.", status=415)
    try:
        return request.POST, request.FILES
    except RequestDataTooBig:
        raise _too_large(LONGEST_BODY) from None
    except (MultiPartParserError, UnicodeDecodeError):
        raise InvalidRequest(f"The body is no {MULTIPART}.") from None


def read(request: HttpRequest, *types: str, largest: int = LONGEST_BODY) -> bytes:
    """A body of one of these media types and of at most `largest` bytes. Raises InvalidRequest with 415 or 413."""
    if request.content_type not in types:
        raise InvalidRequest(f"The body must be {' or '.join(types)}.", status=415)
    try:
        body = request.body
    except RequestDataTooBig:
        raise _too_large(largest) from None
    if len(body) > largest:
        raise _too_large(largest)
    return body


def _too_large(largest: int) -> InvalidRequest:
    return InvalidRequest(f"The body may have {largest} bytes at most.", status=413)
