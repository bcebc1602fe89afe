"""The audit trail in the admin: one log, filters that are its address, and the same lines as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from idp.admin.support import FactsAdmin, actor_of, is_text
from idp.admin.times import WITHIN, moment
from idp.database.standby import reading as standby
from idp.http.requests import facts
from idp.protocol.initiators import Initiator
from sessions_app.audit import events, export, named, selection, trail
from sessions_app.audit.events import EventGroup, EventType
from sessions_app.audit.named import ReadLine
from sessions_app.audit.selection import AskedLines
from sessions_app.models import SessionEvent
from sessions_app.protocol import user_agents

PAGE = 50  # lines
LONGEST = 320  # an e-mail address
HIGHEST = 2**63 - 1  # of a key
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
ANY = ("", "Any")


def _text(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, required=False, max_length=LONGEST, help_text=help_text, widget=widget)


def _choice(label: str, *choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, choices=[ANY, *choices])


class TimeOfDayField(forms.CharField):
    """Date and time as a browser's field gives them, or ISO 8601."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})

    def clean(self, value: Any) -> Any:
        typed = super().clean(value)
        if not typed:
            return None
        read = moment(typed)
        if not EARLIEST < read < LATEST:
            raise ValidationError("Give a year from 1970 to 9998.")
        return read

    def prepare_value(self, value: Any) -> Any:
        """An offset is nothing that the browser's field can show: the same moment in the page's zone is."""
        try:
            return timezone.localtime(moment(value)).strftime("%Y-%m-%dT%H:%M:%S") if value else value
        except (ValidationError, OverflowError):
            return value


class AuditForm(forms.Form):
    q = _text("Anything", "An address, a name, a whole id, a reference that somebody reads out.")
    person = _text("Person", "E-mail address, name or user id; of somebody deleted the user id.")
    application = _text("Application", "Name, or a whole client id.")
    connection = _text("Connection", "Its name.")
    type = _choice(
        "What happened",
        *((g.value.capitalize(), [(e.value, e.words) for e in EventType if e.group == g]) for g in EventGroup),
    )
    ip = forms.GenericIPAddressField(
        label="From address", required=False, help_text="Of the network, like 203.0.113.7."
    )
    group = _choice("About", *((g.value, g.value.capitalize()) for g in EventGroup))
    initiator = _choice("Initiator of the end", *((i.value, i.value) for i in Initiator))
    by = _text("Done by", "An administrator, or an actor like scim:acme-okta.")
    within = forms.ChoiceField(
        required=False, choices=[("", ""), *((name, name) for name in WITHIN)], widget=forms.HiddenInput
    )
    field_order = (
        "q",
        "person",
        "application",
        "connection",
        "type",
        "ip",
        "from",
        "until",
        "group",
        "initiator",
        "by",
        "within",
    )
    FIRST = ("q", "person", "application", "connection", "type", "ip")

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.fields["from"] = TimeOfDayField(label="From", required=False)
        self.fields["until"] = TimeOfDayField(label="Until", required=False)
        self.order_fields(self.field_order)

    def first(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.FIRST)

    def more(self) -> Iterator[forms.BoundField]:
        return (field for field in self.visible_fields() if field.name not in self.FIRST)

    @property
    def shows_more(self) -> bool:
        """What is asked for is never hidden."""
        return any(field.value() or field.errors for field in self.more())

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("from") and cleaned.get("until") and cleaned["from"] >= cleaned["until"]:
            self.add_error("until", "It is before the beginning.")
        return cleaned

    def asked(self, now: datetime) -> AskedLines:
        """Times that are typed go before a span until now."""
        told = self.cleaned_data
        since, until = told["from"], told["until"]
        if told["within"] and not (since or until):
            since = now - WITHIN[told["within"]][1]
        names = ("person", "by", "application", "connection", "group", "type", "initiator", "ip")
        return AskedLines(told["q"], **{name: told[name] for name in names}, since=since, until=until)


OWN = frozenset({*AuditForm.base_fields, "from", "until", "before", "format"})


@admin.register(SessionEvent)
class SessionEventAdmin(FactsAdmin):
    """It keeps ids, so who searches for a person by name or address finds what happened to them."""

    menu_rank = 0
    readonly_fields = ("when", "what", "meaning", "person", "application", "by", "told")
    fieldsets = (
        (None, {"fields": ("when", "what", "meaning", "person", "application", "connection", "by", "told")}),
        ("From where", {"fields": ("ip", "user_agent")}),
        ("As it is stored", {"fields": ("type", "initiator", "actor", "sub", "client_id", "sid", "data")}),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not all(is_text(value) and "\0" not in value for values in request.GET.lists() for value in values[1]):
            raise SuspiciousOperation("a filter that is not text")
        form, now = AuditForm(request.GET), timezone.now()
        before = _key(request.GET.get("before", ""))
        wanted = request.GET.get("format", "")
        unknown = sorted(set(request.GET) - OWN)
        if unknown or before is False or wanted not in ("", *FORMATS):
            form.add_error(None, f"There is no such filter: {', '.join(unknown) or 'before, format'}.")
        if not form.is_valid():
            return self._page(request, form, {"refused": True}, 400)
        asked, after = form.asked(now), before or None
        if wanted:
            return self._file(request, asked, after, wanted, now)
        rows = standby.listed(lambda: list(standby.rows(selection.select(asked, before=after))[: PAGE + 1]))
        older = _query(request, before=str(rows[PAGE - 1].pk)) if len(rows) > PAGE else ""
        return self._page(
            request, form, {"lines": _shown(rows[:PAGE]), "older": older, "is_older": after is not None}, 200
        )

    def _page(self, request: HttpRequest, form: AuditForm, context: dict[str, Any], status: int) -> HttpResponse:
        own = {
            "title": "Audit trail",
            "opts": self.opts,
            "form": form,
            "spans": list(_spans(request)),
            "files": [(name.upper(), _query(request, format=name, before=None)) for name in FORMATS],
            "newest": _query(request, before=None),
            "is_filtered": any(name not in ("before", "format") for name in request.GET),
            "most": f"{export.MOST:,}",
            "zone": timezone.get_current_timezone_name(),
        }
        everything = {**self.admin_site.each_context(request), **own, **context}
        return TemplateResponse(request, "admin/sessions_app/sessionevent/change_list.html", everything, status=status)

    def _file(
        self, request: HttpRequest, asked: AskedLines, before: int | None, wanted: str, now: datetime
    ) -> HttpResponseBase:
        """Whoever takes the log away is in it."""
        data = {"act": f"Exported the audit trail as {wanted.upper()}", "object": "audit trail", "id": ""}
        trail.record(EventType.ADMINISTERED, actor=actor_of(request), facts=facts(request), at=now, data=data)
        part = export.part(asked, before)
        following = request.build_absolute_uri(_query(request, before=str(part.last))) if part.last else ""
        pieces = export.as_csv(part) if wanted == "csv" else export.as_json(part, now, following)
        answer = StreamingHttpResponse(pieces, content_type=FORMATS[wanted])
        newest = f"-newest-{export.MOST}" if part.last else ""
        answer["Content-Disposition"] = f'attachment; filename="curfew-audit-{now:%Y%m%dT%H%M%SZ}{newest}.{wanted}"'
        if following:
            answer["Link"] = f'<{following}>; rel="next"'
        return answer

    # --- one line ------------------------------------------------------------------------------------------------------
    @admin.display(description="when")
    def when(self, obj: SessionEvent) -> str:
        return f"{timezone.localtime(obj.at):%Y-%m-%d %H:%M:%S %Z}"

    @admin.display(description="what")
    def what(self, obj: SessionEvent) -> str:
        return events.words(obj.type)

    @admin.display(description="that is")
    def meaning(self, obj: SessionEvent) -> str:
        known = events.kind(obj.type)
        return known.meaning if known else "a later version of Curfew wrote it"

    @admin.display(description="person")
    def person(self, obj: SessionEvent) -> str:
        return str(_read(obj).person or "-")

    @admin.display(description="application")
    def application(self, obj: SessionEvent) -> str:
        return str(_read(obj).application or "-")

    @admin.display(description="done by")
    def by(self, obj: SessionEvent) -> str:
        line = _read(obj)
        return " ".join(filter(None, (line.by, str(line.by_person or "")))) or "-"

    @admin.display(description="what it tells")
    def told(self, obj: SessionEvent) -> SafeString | str:
        line = _read(obj)
        rows = [("reason", line.reason)] if line.reason else []
        rows += [(what, f"from {before} to {after}") for what, before, after in line.changes]
        rows += [*line.others, *([("end", f"#{line.end}")] if line.end else [])]
        return format_html_join("", "<div>{}: {}</div>", rows) if rows else "-"


def _read(row: SessionEvent) -> ReadLine:
    return named.read([row])[0]


def _shown(rows: list[SessionEvent]) -> list[dict[str, Any]]:
    return [
        {"line": line, "device": user_agents.in_words(line.row.user_agent) if line.row.user_agent else ""}
        for line in named.read(rows)
    ]


def _key(typed: str) -> int | bool | None:
    """False: it is no key."""
    if not typed:
        return None
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 20 and int(typed) <= HIGHEST else False


def _query(request: HttpRequest, **changed: str | None) -> str:
    """The same question with something else; None takes it out. A saved link has no empty words."""
    query = request.GET.copy()
    for name, value in changed.items():
        query[name] = value or ""
    for name in [name for name, values in query.lists() if not any(values)]:
        del query[name]
    return f"?{query.urlencode()}" if query else "?"


def _spans(request: HttpRequest) -> Iterator[tuple[str, str, bool]]:
    """Links to any time, the last hour and so on: words, address, and whether it is this one."""
    gone = {"from": None, "until": None, "before": None, "format": None}
    own = bool(request.GET.get("from") or request.GET.get("until"))
    chosen = request.GET.get("within", "")
    yield "Any time", _query(request, within=None, **gone), not own and chosen not in WITHIN
    for name, (words, _) in WITHIN.items():
        yield words, _query(request, within=name, **gone), not own and chosen == name
