"""Event streams: their state, what waits and what was refused, *Pause*, *Send verification*, *Redeliver*; webhooks, and their secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince

from idp.admin.support import ActsAdmin, AdminAct, NotDone, actor_of
from idp.admin.times import shown
from idp.http.requests import facts
from idp.http.visit import is_fresh
from logout_app.admin.signals.forms import OutgoingStreamForm, ReplayForm, WebhookForm
from logout_app.models import EventStream, OutgoingStream, StreamKind, StreamMethod, StreamState, Webhook
from logout_app.streams import look, manage, rules
from sessions_app.audit import history

WORDS = {
    StreamState.ENABLED: ("delivered", "Enabled"),
    StreamState.PAUSED: ("pending", "Paused"),
    StreamState.DISABLED: ("dead", "Disabled"),
}


def _set(status: StreamState) -> Any:
    def do(request: HttpRequest, stream: EventStream, at: datetime, form: forms.Form | None) -> str:
        try:
            manage.set_status(stream, status, "", actor=actor_of(request), at=at, by=manage.SetBy.ADMINISTRATOR)
        except manage.NotGranted as error:
            raise NotDone(error.description) from None
        return f"{stream} is {status}."

    return do


def do_verify(request: HttpRequest, stream: EventStream, at: datetime, form: forms.Form | None) -> str:
    manage.send_verification(stream, None, at)
    return "A test event is on its way. Reload to see whether it was taken."


def do_redeliver(request: HttpRequest, stream: EventStream, at: datetime, form: forms.Form | None) -> str:
    count = manage.redeliver_dead(stream, at=at)
    return f"{count} event{'s are' if count != 1 else ' is'} sent again, the oldest first."


def do_replay(request: HttpRequest, stream: EventStream, at: datetime, form: forms.Form | None) -> str:
    if form is None:
        raise TypeError("this act asks since when")
    manage.replay(stream, form.cleaned_data["since"], actor=actor_of(request), at=at)
    return "What happened since then is told again."


PAUSE = AdminAct(
    "pause",
    "Pause",
    lambda stream: [
        f"Nothing is sent to {stream} until it is resumed. What happens meanwhile is held, and told then, in order."
    ],
    _set(StreamState.PAUSED),
    offered=lambda stream: stream.is_enabled,
    danger=False,
    operates=True,
)
RESUME = AdminAct(
    "resume",
    "Resume",
    lambda _: ["What happened while it was paused is told now."],
    _set(StreamState.ENABLED),
    offered=lambda stream: stream.status == StreamState.PAUSED and rules.may_run(stream),
    danger=False,
    operates=True,
)
ENABLE = AdminAct(
    "enable",
    "Enable",
    lambda _: ["It is told what happens from now on."],
    _set(StreamState.ENABLED),
    offered=lambda stream: stream.status == StreamState.DISABLED and rules.may_run(stream),
)
DISABLE = AdminAct(
    "disable",
    "Disable",
    lambda stream: [f"Nothing is sent to {stream}, and what happens meanwhile is not kept for it."],
    _set(StreamState.DISABLED),
    offered=lambda stream: stream.status != StreamState.DISABLED,
)
VERIFY = AdminAct(
    "verify",
    "Send verification",
    lambda _: ["A test event goes to its receiver now, also while it is paused. Nothing else happens."],
    do_verify,
    danger=False,
    operates=True,
)
REDELIVER = AdminAct(
    "redeliver",
    "Redeliver",
    lambda _: ["Everything that its receiver refused is sent again, with the same ids."],
    do_redeliver,
    offered=lambda stream: look.health(stream, timezone.now()).dead > 0,
    danger=False,
    operates=True,
)
REPLAY = AdminAct(
    "replay",
    "Tell again",
    lambda _: ["What the audit trail says from that moment on is sent again. Whoever keeps the ids knows what it had."],
    do_replay,
    form=lambda _, data: ReplayForm(data),
)


class StreamAdmin(ActsAdmin):
    """Acts and facts that streams of both kinds have."""

    tells_itself = frozenset({"add", "change", "delete"})
    form: Any
    kind: ClassVar[StreamKind]
    list_display: Any = ("name", "state", "waiting", "lag", "refused", "verified", "endpoint")
    search_fields = ("name", "endpoint", "=public_id")
    facts_shown: tuple[str, ...] = ("state", "waiting", "lag", "refused", "verified", "last_answer")
    readonly_fields: ClassVar[Any] = facts_shown

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(kind=self.kind)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"proved": is_fresh(request, timezone.now()), "back": request.path})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        own = [name for name in self.form._meta.fields or () if obj is None or name != "preset"]
        sets: list[Any] = [(None, {"fields": own})]
        return sets if obj is None else [("Now", {"fields": self.facts_shown}), *sets]

    def save_model(self, request: HttpRequest, obj: EventStream, form: Any, change: bool) -> None:
        at = timezone.now()
        if not change:
            obj.kind, obj.after, obj.created_at = self.kind, history.newest(), at
        obj.save()
        what = "changed" if change else "made"
        manage.tell(obj, what, actor=actor_of(request), at=at, facts=facts(request))

    def delete_model(self, request: HttpRequest, obj: EventStream) -> None:
        manage.delete(obj, actor=actor_of(request), at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for stream in queryset:
            self.delete_model(request, stream)

    def get_acts(self) -> Sequence[AdminAct]:
        return (PAUSE, RESUME, ENABLE, DISABLE, VERIFY, REDELIVER)

    @admin.display(description="state", ordering="status")
    def state(self, obj: EventStream) -> str:
        colour, word = WORDS[StreamState(obj.status)]
        why = f": {obj.reason}" if obj.reason else ""
        return format_html('<span class="state state-{}">{}{}</span>', colour, word, why)

    @admin.display(description="waiting")
    def waiting(self, obj: EventStream) -> str:
        return look.health(obj, timezone.now()).waiting_in_words

    @admin.display(description="behind by")
    def lag(self, obj: EventStream) -> str:
        now = timezone.now()
        lag = look.health(obj, now).lag
        if lag is None:
            return "nothing"
        return timesince(now - lag, now, depth=1) if lag.total_seconds() >= 60 else f"{lag.total_seconds():.0f} s"

    @admin.display(description="refused")
    def refused(self, obj: EventStream) -> str:
        count = look.health(obj, timezone.now()).dead
        if not count:
            return "none"
        url = reverse("admin:logout_app_logoutdelivery_changelist")
        return format_html('<a href="{}?receiver__exact=stream%3A{}&state__exact=dead">{}</a>', url, obj.pk, count)

    @admin.display(description="last test event taken")
    def verified(self, obj: EventStream) -> str:
        return shown(look.health(obj, timezone.now()).verified_at)

    @admin.display(description="last answer")
    def last_answer(self, obj: EventStream) -> str:
        return look.health(obj, timezone.now()).last_answer or "all is taken"


@admin.register(OutgoingStream)
class OutgoingStreamAdmin(StreamAdmin):
    form = OutgoingStreamForm
    kind = StreamKind.SSF
    empty = (
        "None. Applications with a client grant for Shared Signals make a stream themselves (Apple Business Manager); "
        "for others, like Google Workspace and Okta, add one here."
    )
    list_display = (*StreamAdmin.list_display, "method")
    list_filter = ("status", "method")
    facts_shown = (*StreamAdmin.facts_shown, "method", "application", "public_id")
    readonly_fields: ClassVar[Any] = facts_shown

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if obj is not None and obj.method == StreamMethod.POLL:
            name, own = sets[-1]
            sets[-1] = (name, {"fields": [f for f in own["fields"] if f not in ("endpoint", "authorization_header")]})
        return sets


@admin.register(Webhook)
class WebhookAdmin(StreamAdmin):
    form = WebhookForm
    kind = StreamKind.WEBHOOK
    empty = (
        "None. A webhook gets lines of the audit trail as signed JSON, in order, from now on or from any moment before."
    )
    list_filter = ("status",)

    def get_acts(self) -> Sequence[AdminAct]:
        return (
            *super().get_acts(),
            REPLAY,
            AdminAct(
                "secret",
                "New secret",
                lambda _: ["Requests are signed with the new secret from now on, and with the old one no more."],
                self.do_secret,
            ),
        )

    def save_model(self, request: HttpRequest, obj: EventStream, form: Any, change: bool) -> None:
        obj.secret = obj.secret or manage.seal(obj, "secret", manage.new_webhook_secret())
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.do_secret(request, obj, timezone.now(), None)

    def do_secret(self, request: HttpRequest, obj: EventStream, at: datetime, form: forms.Form | None) -> HttpResponse:
        secret = manage.new_webhook_secret()
        EventStream.objects.filter(pk=obj.pk).update(secret=manage.seal(obj, "secret", secret))
        return self._secret_page(request, obj, secret)

    def _secret_page(self, request: HttpRequest, obj: EventStream, secret: str) -> HttpResponse:
        """The answer to the POST itself: nothing keeps the secret but this page."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The secret of its signatures",
            "opts": self.opts,
            "object": obj,
            "object_url": self.object_url(obj),
            "secret": secret,
        }
        return TemplateResponse(request, "admin/logout_app/webhook/secret.html", context)
