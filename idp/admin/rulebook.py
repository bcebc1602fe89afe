"""Forms of what has a rulebook: the model's `clean()` asks it, and each sentence comes beside its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

if TYPE_CHECKING:
    AnyForm = forms.ModelForm[Any]
else:
    AnyForm = forms.ModelForm


class RulebookForm(AnyForm):
    """`judged` are columns of which Django's own validators know less: its URL wants a dot in every host name, which
    hosts inside a container network have not, and takes http from everywhere."""

    judged: ClassVar[frozenset[str]] = frozenset()

    def _get_validation_exclusions(self) -> set[str]:
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions | self.judged

    def _update_errors(self, errors: ValidationError) -> None:
        """A field that could not even be read has its own sentence already; a column without a field belongs to the page."""
        found: dict[str, list[ValidationError]] = {}
        for field, sentences in errors.error_dict.items():
            if field not in self.errors:
                found.setdefault(field if field in self.fields else NON_FIELD_ERRORS, []).extend(sentences)
        super()._update_errors(ValidationError(found))  # type: ignore[misc]
