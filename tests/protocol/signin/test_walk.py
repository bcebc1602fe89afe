"""The way of a login POST through the code is the one that ARCHITECTURE.md tells, and no act on it calls back into a view."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

import pytest
from django.conf import settings

from tests.support.factories import PASSWORD, make_application, make_user
from tests.support.oauth import request_params
from tests.support.sign_in import csrf_client, csrf_token

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TEXT = (Path(settings.BASE_DIR) / "ARCHITECTURE.md").read_text()
OURS = ("idp.", "sessions_app.", "logout_app.")


def told() -> list[list[str]]:
    """The functions that each numbered step of the walk names, as `module:function`."""
    section = TEXT.partition("### The walk of a login POST")[2].partition("\n## ")[0]
    return [re.findall(r"`([\w.]+:[\w.]+)`", step) for step in re.split(r"^\d+\. ", section, flags=re.M)[1:]]


class Trace:
    """Who was called, in order of the first time; and which view was entered from an act that a view had called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.backwards: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if event != "call" or not module.startswith(OURS):
            return
        name = f"{module}:{frame.f_code.co_qualname}"
        if name not in self.calls:
            self.calls.append(name)
        if ".views." in module and (act := _act_between(frame)):
            self.backwards.append(f"{name} from {act}")


def _act_between(frame: FrameType) -> str:
    act = ""
    for module in _callers(frame):
        if ".views." not in module:
            act = act or module
        elif act:
            return act
    return ""


def _callers(frame: FrameType) -> Iterator[str]:
    above = frame.f_back
    while above is not None:
        module = str(above.f_globals.get("__name__", ""))
        if module.startswith(OURS):
            yield module
        above = above.f_back


@pytest.fixture
def trace() -> Trace:
    make_user()
    client = csrf_client()
    target = f"/authorize?{urlencode(request_params(make_application()))}"
    form = {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "next": target}
    form["csrfmiddlewaretoken"] = csrf_token(client, f"/login?{urlencode({'next': target})}")
    found = Trace()
    sys.setprofile(found)
    try:
        response = client.post("/login", form)
    finally:
        sys.setprofile(None)
    assert "code=" in response["Location"]
    return found


def test_the_walk_of_a_login_is_the_one_that_is_written_down(trace: Trace) -> None:
    steps = told()
    assert 10 <= len(steps) <= 15
    assert all(steps)
    named = [name for step in steps for name in step]
    assert [name for name in named if name not in trace.calls] == []
    assert named == sorted(named, key=trace.calls.index)


def test_no_act_on_the_way_calls_back_into_a_view(trace: Trace) -> None:
    assert trace.backwards == []
