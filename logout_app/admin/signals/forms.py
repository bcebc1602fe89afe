"""Forms of event streams: where events go, and how a receiver wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django import forms

from idp.admin.fields import LinesField
from idp.admin.support import ask_for_proof
from idp.protocol.signal_events import short
from logout_app.models import EventStream, OutgoingStream, StreamKind, StreamMethod, Webhook
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import manage, rules
from sessions_app.audit.events import EventType

if TYPE_CHECKING:
    StreamModelForm = forms.ModelForm[EventStream]
else:
    StreamModelForm = forms.ModelForm

PROOF = "Where everybody's security events go is changed by who has just proved that it is them."
GOOGLE = "https://sharedsignals.googleapis.com"
NO_PRESET, PRESET_GOOGLE, PRESET_OKTA = "", "google", "okta"
PRESETS = (
    (NO_PRESET, "As the fields below say"),
    (PRESET_GOOGLE, "Google Workspace"),
    (PRESET_OKTA, "Okta (Identity Threat Protection)"),
)
FORMATS = (
    ("iss_sub", "Issuer and sub, as its application knows people"),
    ("email", "E-mail address"),
    ("complex", "Issuer and sub with the session"),
)
PLACES = (
    ("sub_id", "sub_id beside the event (the standard)"),
    ("both", "There, and in the event as RISC had it (Google)"),
    ("event", "In the event only, under user (Okta)"),
)
BODIES = (
    ("object", "One JSON object"),
    ("array", "A JSON array of one object"),
    ("lines", "JSON lines (application/x-ndjson)"),
)


class StreamForm(StreamModelForm):
    """`proved`: whoever sends it proved within the hour who they are."""

    kind: ClassVar[StreamKind]
    proved: ClassVar[bool] = False
    back: ClassVar[str] = ""
    authorization_header = forms.CharField(
        required=False,
        max_length=rules.LONGEST_SECRET,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="The whole value of the Authorization header of each request. It is kept sealed; empty: as it is, while the host is the same.",
    )

    def clean_endpoint(self) -> str:
        url = str(self.cleaned_data["endpoint"])
        if self.instance.method == StreamMethod.POLL and not url:
            return ""
        if why := rules.endpoint_problem(url):
            raise forms.ValidationError(f"Nothing can be sent there: {why}.")
        return url

    def clean_authorization_header(self) -> str:
        value = str(self.cleaned_data["authorization_header"])
        if value and (why := rules.header_problem(value)):
            raise forms.ValidationError(f"It {why}.")
        return value

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.instance._state.adding and not rules.room(self.kind):
            raise forms.ValidationError(f"There are {rules.MOST} of them, and no more may be made: delete one first.")
        if not self.proved:
            raise forms.ValidationError(ask_for_proof(PROOF, self.back))
        if self._would_tell_another_receiver():
            self.add_error(
                "authorization_header", "Another host would be given what the old one knows us by: say it anew."
            )
        return cleaned

    def _would_tell_another_receiver(self) -> bool:
        """`initial` has the endpoint as it is kept."""
        if not self.instance.authorization or self.cleaned_data.get("authorization_header"):
            return False
        old, new = (str(url or "") for url in (self.initial.get("endpoint"), self.cleaned_data.get("endpoint")))
        return rules.is_other_host(old, new)

    def save(self, commit: bool = True) -> EventStream:
        stream = self.instance
        stream.public_id = stream.public_id or manage.new_public_id()
        if value := self.cleaned_data.get("authorization_header"):
            stream.authorization = manage.seal(stream, "authorization", value)
        return super().save(commit)


class OutgoingStreamForm(StreamForm):
    kind = StreamKind.SSF
    preset = forms.ChoiceField(
        choices=PRESETS,
        required=False,
        help_text="Fills in audience, events, subject and place as this receiver wants them.",
    )
    audiences = LinesField(label="Audience", help_text="One per line: the aud of its events, as its receiver says.")
    events = forms.MultipleChoiceField(
        choices=[(uri, short(uri).rpartition("/")[2]) for uri in v.SUPPORTED],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="The receiver of a stream that it manages itself chooses them.",
    )
    algorithm = forms.ChoiceField(
        choices=[(name, name) for name in v.ALGORITHMS],
        help_text="RS256 is what the interoperability profile asks for, and what Apple, Google and Okta take.",
    )
    subject_format = forms.ChoiceField(choices=FORMATS, label="People are named by")
    subject_place = forms.ChoiceField(choices=PLACES, label="The subject stands")

    class Meta:
        model = OutgoingStream
        fields = (
            "name",
            "preset",
            "endpoint",
            "authorization_header",
            "audiences",
            "events",
            "algorithm",
            "subject_format",
            "subject_place",
        )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        preset, endpoint = cleaned.get("preset"), str(cleaned.get("endpoint") or "")
        if preset == PRESET_GOOGLE:
            cleaned |= {"audiences": [GOOGLE], "events": [v.SESSION_REVOKED], "subject_place": "both"}
        elif preset == PRESET_OKTA:
            parts = urlsplit(endpoint)
            cleaned |= {"audiences": [f"{parts.scheme}://{parts.netloc}"], "subject_place": "event"}
            cleaned["events"] = [v.SESSION_REVOKED, v.CREDENTIAL_CHANGE]
        if preset:
            cleaned |= {"subject_format": "email", "algorithm": "RS256"}
        if not cleaned.get("audiences"):
            self.add_error("audiences", "Its receiver must know itself by it.")
        return cleaned


class WebhookForm(StreamForm):
    kind = StreamKind.WEBHOOK
    events = LinesField(label="Types", help_text="One per line, as docs/audit.md names them. Empty: all.")
    body_format = forms.ChoiceField(choices=BODIES, label="Body")

    class Meta:
        model = Webhook
        fields = ("name", "endpoint", "authorization_header", "events", "body_format")

    def clean_events(self) -> list[str]:
        events: list[str] = self.cleaned_data["events"]
        if unknown := sorted(set(events) - set(EventType)):
            raise forms.ValidationError(f"There is no such type: {', '.join(unknown)}.")
        return events


class ReplayForm(forms.Form):
    since = forms.SplitDateTimeField(
        label="Since",
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": "Date"}, time_attrs={"type": "time", "aria-label": "Time"}
        ),
        help_text="In the zone of the times on these pages. What happened from then on is told again, with the ids that it had.",
    )
