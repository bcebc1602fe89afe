"""A list filtered by time: the last hour, day, week or month, or from one moment until another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import display_for_value
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

WITHIN = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}
FROM, UNTIL, SINCE = "from", "until", "within"


def moment(typed: str) -> datetime:
    """Of a field for date and time, or ISO 8601; without an offset it is in the page's zone. ValidationError: it is none."""
    try:
        read = parse_datetime(typed.strip())
        if read is not None and timezone.is_naive(read):
            read = timezone.make_aware(read)
    except (ValueError, OverflowError):
        read = None
    if read is None:
        raise ValidationError("Give date and time, like 2026-03-29T16:30.")
    return read


def as_typed(value: str | datetime | None) -> str:
    """As a field for date and time takes it, in the page's zone; empty if it is no time."""
    try:
        read = moment(value) if isinstance(value, str) else value
    except ValidationError:
        read = None
    return timezone.localtime(read).strftime("%Y-%m-%dT%H:%M") if read else ""


def shown(at: datetime | None) -> str:
    """As the console shows a moment. Django does so for what a list computes, but not among the facts of one row."""
    return str(display_for_value(at, "-"))


class TimeFilter(admin.ListFilter):
    """By `field`, which a subclass names (`filter_by`), and which needs an index."""

    field: ClassVar[str]
    template = "admin/curfew_time_filter.html"
    parameters = (SINCE, FROM, UNTIL)

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: ModelAdmin) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]
        self.zone = timezone.get_current_timezone_name()

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def typed(self, name: str) -> str:
        return str(self.used_parameters.get(name) or "")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return queryset.filter(**dict(self._bounds()))
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error

    def _bounds(self) -> Iterator[tuple[str, datetime]]:
        if within := WITHIN.get(self.typed(SINCE)):
            yield f"{self.field}__gte", timezone.now() - within[1]
        if typed := self.typed(FROM):
            yield f"{self.field}__gte", moment(typed)
        if typed := self.typed(UNTIL):
            yield f"{self.field}__lt", moment(typed)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        own = [FROM, UNTIL]
        nothing = not any(map(self.typed, self.parameters))
        yield {
            "selected": nothing,
            "query_string": changelist.get_query_string(remove=[*own, SINCE]),
            "display": "Any time",
        }
        for name, (words, _) in WITHIN.items():
            query = changelist.get_query_string({SINCE: name}, own)
            yield {"selected": self.typed(SINCE) == name, "query_string": query, "display": words}

    def shown(self) -> dict[str, str]:
        """What stands in the form's two fields."""
        return {name: as_typed(self.typed(name)) for name in (FROM, UNTIL)}

    def kept(self) -> list[tuple[str, str]]:
        """What the form of the filter sends along, so that it forgets no other filter."""
        lists = self.request.GET.lists()
        return [(name, value) for name, values in lists if name not in (*self.parameters, "p") for value in values]


def filter_by(field: str, title: str = "time") -> type[TimeFilter]:
    """For `list_filter`."""
    return type(f"TimeFilterOf{field.title().replace('_', '')}", (TimeFilter,), {"field": field, "title": title})
