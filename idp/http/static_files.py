"""Addresses of our static files: the hash in a name is looked up once, since no file changes while a process runs."""

from __future__ import annotations

import functools
import re

from django.http import HttpRequest, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

_HASH = re.compile(r"\.[0-9a-f]{12}(?=\.[^./]+$)")


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    def load_manifest(self) -> tuple[dict[str, str], str]:
        """One that was cut off while it was written is none: preparing makes it anew, and needs no manifest for that."""
        try:
            found: tuple[dict[str, str], str] = super().load_manifest()
        except ValueError:
            return {}, ""
        return found

    @functools.cache  # noqa: B019  there is one storage, as long as the process
    def url(self, name: str, force: bool = False) -> str:
        address: str = super().url(name, force)
        return address


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Where one release replaces another, the page of one asks the other for its files: it gets the ones of that name here, and
    keeps them for a minute. A sign-out page without its script would sign nobody out."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        file = self.files.get(path) or self.files.get(_HASH.sub("", path))
        answer: HttpResponseBase = self.serve(file, request) if file else self.get_response(request)
        return answer
