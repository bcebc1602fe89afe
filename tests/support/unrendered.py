"""Pages whose templates nobody fills in, where what counts is the form behind them: a large form of the admin takes a tenth of
a second to be written, and a hundredth to be checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.forms import BaseForm
from django.template.response import SimpleTemplateResponse


@contextmanager
def unrendered() -> Iterator[None]:
    """Everything before and after is as ever: middleware, permissions, the view, the form, the status."""
    with patch.object(SimpleTemplateResponse, "rendered_content", ""):
        yield


def form_of(answer: Any) -> BaseForm:
    """The form of a page of the admin."""
    form: BaseForm = answer.context_data["adminform"].form
    return form
