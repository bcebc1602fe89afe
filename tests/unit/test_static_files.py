"""Static files while one release replaces another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpResponse
from django.test import RequestFactory

from idp.http.static_files import StaticFilesMiddleware
from idp.operations import preparation


class Release:
    """A release's own files, prepared in a folder that the one before may still serve from."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self.settings, self.folder = settings, folder

    def prepare(self, style: str) -> str:
        """The address that its pages have."""
        ours = self.folder / style
        ours.mkdir()
        (ours / "page.css").write_text(f"body {{ color: {style}; }}")
        self.settings.STATICFILES_DIRS = [ours]
        self.settings.STATIC_ROOT = self.folder / "static"  # its storage reads the manifest anew, as a new process
        preparation._collect_static(lambda _: None)
        return str(staticfiles_storage.url("page.css"))


@pytest.fixture
def release(settings: Any, tmp_path: Path) -> Release:
    settings.DATA = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "idp.http.static_files.StaticFilesStorage"}}
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    return Release(settings, tmp_path)


def serve() -> Any:
    """What a web server that starts now answers."""
    middleware = StaticFilesMiddleware(lambda _: HttpResponse(status=404))

    def ask(address: str) -> tuple[int, str, str]:
        answer = middleware(RequestFactory().get(address))
        return answer.status_code, b"".join(answer).decode(), answer.headers.get("Cache-Control", "")

    return ask


def test_a_web_server_of_the_release_before_serves_on_while_the_next_one_is_prepared_in_its_folder(release):
    red = release.prepare("red")
    before = serve()
    green = release.prepare("green")
    assert before(red)[:2] == (200, "body { color: red; }")
    after = serve()
    assert after(green)[:2] == (200, "body { color: green; }")
    assert after(red)[1] == "body { color: red; }"
    release.prepare("blue")
    assert serve()(red)[1] == "body { color: blue; }"  # what nobody serves any more is not kept


def test_a_page_of_another_release_finds_the_files_of_this_one_and_keeps_them_for_a_minute(release):
    ours = release.prepare("red")
    ask = serve()
    other = "/static/page.0123456789ab.css"
    assert other != ours
    assert ask(other) == (200, "body { color: red; }", "max-age=60, public")
    assert "immutable" in ask(ours)[2]
    assert ask("/static/none.0123456789ab.css")[0] == 404
    assert ask("/static/page.0123456789ab.css/more")[0] == 404


def test_a_manifest_that_was_cut_off_while_it_was_written_is_made_anew(release):
    release.prepare("red")
    manifest = release.folder / "static" / "staticfiles.json"
    manifest.write_text(manifest.read_text()[:20])
    (release.folder / "static.stamp").unlink()
    release.settings.STATIC_ROOT = str(release.folder / "static")  # read anew
    address = release.prepare("green")
    assert serve()(address)[:2] == (200, "body { color: green; }")
