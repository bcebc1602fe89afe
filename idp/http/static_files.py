"""Addresses of our static files: the hash in a name is looked up once, since no file changes while a process runs."""

from __future__ import annotations

import functools

from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    @functools.cache  # noqa: B019  there is one storage, as long as the process
    def url(self, name: str, force: bool = False) -> str:
        address: str = super().url(name, force)
        return address
