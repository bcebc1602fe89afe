"""Fields of the settings' form that take a picture: what was uploaded is checked by its bytes before anything keeps it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from idp.branding import uploads
from idp.branding.images import LARGEST, NoPicture, Picture, read
from idp.models import TenantSettings

HELP = f"PNG, JPEG, GIF or WebP, {LARGEST // 1000} kB at most. SVG is not taken, as it can hold scripts."


class PictureField(forms.FileField):
    """Cleans to a Picture, False (take away what there is), or None (leave it)."""

    def __init__(self, label: str, help_text: str, *, icon: bool = False) -> None:
        super().__init__(label=label, help_text=help_text, required=False, allow_empty_file=True)
        self.icon = icon

    def clean(self, data: Any, initial: Any = None) -> Any:
        if data is False:
            return False
        if not isinstance(data, UploadedFile):
            return None
        if (data.size or 0) > LARGEST:
            raise ValidationError(f"It has more than {LARGEST // 1000} kB.")
        try:
            return read(data.read(), icon=self.icon)
        except NoPicture as problem:
            raise ValidationError(str(problem)) from None


class PictureTick(forms.BooleanField):
    def __init__(self, label: str) -> None:
        super().__init__(label=label, required=False)


def write(tenant: TenantSettings, said: dict[str, Any]) -> None:
    """What was chosen for each place, into columns of the row, which is not saved yet."""
    for column in uploads.COLUMNS:
        place = column.removesuffix("_upload")
        chosen = said.get(place)
        if isinstance(chosen, Picture):
            setattr(tenant, column, uploads.keep(chosen))
        elif said.get(f"no_{place}"):
            setattr(tenant, column, "")
