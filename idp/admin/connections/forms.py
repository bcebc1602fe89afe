"""What the forms of all strategies share: options by name, secrets apart, and one place that says what is wrong with them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms

from idp.admin.connections.fields import SeveralField, Topic, choice, lines, mapping, text, tick, url
from idp.admin.fields import ObjectField, https_urls
from idp.admin.rulebook import RulebookForm
from idp.admin.support import said
from idp.connections import rules, trust
from idp.connections.microsoft import wsfed
from idp.connections.options import COSMETIC, DEFAULTS, KEYS, SECRETS, secret_context
from idp.crypto import sealing
from idp.models import Connection, Strategy
from idp.protocol.signal_events import Effect
from idp.tenants.changes import NO_AUTHOR, Author, Difference

if TYPE_CHECKING:
    BaseForm = forms.ModelForm[Connection]
else:
    BaseForm = forms.ModelForm

CHOICES = (
    (Strategy.OKTA, "Okta: OpenID Connect, with Universal Logout"),
    (Strategy.ENTRA, "Microsoft Entra ID"),
    (Strategy.GOOGLE, "Google: Workspace and personal accounts"),
    (Strategy.OIDC, "OpenID Connect: any other provider that has a discovery document"),
    (Strategy.SAML, "SAML 2.0: any provider that has metadata"),
    (Strategy.ADFS, "ADFS: Microsoft's federation server on your own premises"),
    (Strategy.ACTIVE_DIRECTORY, "Active Directory or another LDAP server: passwords are typed here and checked there"),
    (Strategy.DATABASE, "Database: accounts and passwords are kept here"),
)
SECRET_LABELS = {
    "client_secret": "Client secret",
    "bind_password": "Password of the account",
    "decryptionKey": "Private key for decryption",
    "shared_signals_token": "Access token for the transmitter",
    "shared_signals_secret": "Client secret at the transmitter",
}
METHODS = [("", "They are pushed (usual)"), ("push", "They are pushed"), ("poll", "We ask for them, every 15 seconds")]
SIGNALS = (
    *(f"shared_signals__{name}" for name in ("issuer", "jwks_uri", "audience", "method", "events")),
    *("shared_signals__client_id", "shared_signals_secret", "shared_signals__token_endpoint"),
    "shared_signals_token",
)
SIGNALS_TEXT = (
    "Security events of the provider (OpenID Shared Signals, CAEP, RISC): somebody was disabled, a session revoked, a device is "
    "not compliant any more. Save, then press Connect signals, or make the stream on the provider's own pages."
)
_CLEAR = "clear_"  # in front of the name of a secret
PEM_SECRETS = {"decryptionKey"}
EMPTY: tuple[Any, ...] = ("", None, [], {})
HINTS = [
    ("", "What the strategy needs (usual)"),
    ("id_token_hint", "The ID token of the sign-in (id_token_hint)"),
    ("client_id", "Our client id (client_id)"),
    ("logout_hint", "The person's name there (logout_hint)"),
    ("none", "Nothing"),
]
ADFS_HINTS = [*HINTS, (wsfed.HINT, "Sign out by WS-Federation (wsignout1.0)")]


def logout_hint(hints: list[tuple[str, str]]) -> forms.ChoiceField:
    return choice(
        "What it is told at sign-out", hints, "How the identity provider learns whose session there is to end."
    )


class SecretLines(forms.Textarea):
    """A key in PEM has lines, which a password field would join. Never filled in, not even after a mistake."""

    def format_value(self, value: Any) -> str:
        return ""


class NewConnectionForm(BaseForm):
    """The first step: it writes nothing, the second page does."""

    class Meta:
        model = Connection
        formfield_callback = https_urls
        fields = ("strategy", "name")
        widgets = {"strategy": forms.RadioSelect}
        labels = {"strategy": "Where people come from"}
        help_texts = {
            "name": "Like acme-okta. Part of its URLs and of the ids of its people: it cannot be changed later.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["strategy"].choices = CHOICES  # type: ignore[attr-defined]


class ConnectionForm(RulebookForm):
    """What every strategy has. Each field beside the columns is the option of its name (`idp.admin.connections.fields`)."""

    judged = frozenset({"icon_url"})
    topics: ClassVar[tuple[Topic, ...]] = ()
    signs_out_upstream = True
    secret_help: ClassVar[dict[str, str]] = {}
    author: ClassVar[Author] = NO_AUTHOR  # the page says who it is, and where it is
    back: ClassVar[str] = ""
    differences: Sequence[Difference] = ()  # once it is valid: what is changed, for the audit trail

    domain_aliases = lines(
        "E-mail domains",
        "One per line, like fabrikamcorp.com. People who type such an address on the login page are led to this connection.",
    )
    require_mfa = tick(
        "Require a second factor", "Whoever signs in by this connection proves one, whichever application it is."
    )
    trust_upstream_mfa = tick(
        "Its second factor counts",
        "What the provider says of it is believed: amr and acr of OpenID Connect, AuthnContext of SAML. Nobody who proved two "
        "factors there is then asked to set one up here.",
    )
    mfa_acr_values = lines(
        "What it calls two factors",
        "Its acr values or AuthnContext classes, one per line, the preferred one first. It is asked for them when an "
        "application wants two factors and its second factor counts, and believed that they mean it. Empty: what is usual "
        "for this kind of provider.",
    )
    logout__hint = logout_hint(HINTS)
    logout__url = url("Sign-out address", "Only if discovery or metadata do not name it, or name a wrong one.")
    shared_signals__issuer = url("Issuer of events", "Exactly the iss of its security events. Empty: none is believed.")
    shared_signals__jwks_uri = url("Key set of events", "Only if the transmitter's metadata does not name it.")
    shared_signals__audience = SeveralField(
        label="What we are called in events",
        help_text="Their aud, one per line. Empty: what Connect learns, and the push endpoint.",
    )
    shared_signals__method = choice("How events come", METHODS, "Connect asks the transmitter for it.")
    shared_signals__events = mapping(
        "What events do",
        f'A JSON object, like {{"device-compliance-change": "end_sessions"}}. Each may {", ".join(Effect)}.',
    )
    shared_signals__client_id = text(
        "Our client ID at the transmitter",
        "With its secret: access tokens are asked for as they are needed (client_credentials, scope ssf.read ssf.manage). "
        "Keycloak's live for five minutes. Empty: an access token is pasted below.",
    )
    shared_signals__token_endpoint = url(
        "Token endpoint of the transmitter", "Only if the discovery document of the issuer of events does not name it."
    )
    other = ObjectField(
        label="All other options",
        help_text="A JSON object.",
        widget=forms.Textarea(attrs={"rows": 4, "class": "lines", "spellcheck": "false"}),
    )

    class Meta:
        model = Connection
        formfield_callback = https_urls
        fields = ("display_name", "icon_url", "enabled_for_all", "enabled_clients")
        widgets = {
            "display_name": forms.TextInput(attrs={"class": "vTextField"}),
            "icon_url": forms.URLInput(attrs={"class": "vTextField"}),
            "enabled_clients": forms.CheckboxSelectMultiple,
        }
        labels = {
            "icon_url": "Icon URL",
            "enabled_for_all": "All applications",
            "enabled_clients": "Only these applications",
        }
        help_texts = {
            "display_name": "On the button of the login page: Continue with ...",
            "icon_url": "A square picture for the button, by https.",
            "enabled_for_all": "Every application may use this connection, also those that come later.",
            "enabled_clients": "Used while the box above is empty.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = KEYS[self.instance.strategy]
        for name in [name for name in self.fields if self._is_foreign(name)]:
            del self.fields[name]
        for name in self.option_fields():
            value = _dig(self.instance.options, name)
            if value is not None:
                self.initial[name] = value
        self._add_secrets()
        rest = sorted(self.known - SECRETS - COSMETIC - self.covered())
        self.fields["other"].keys = rest  # type: ignore[attr-defined]
        self.fields["other"].help_text = f"A JSON object. Known are: {', '.join(rest)}."
        self.initial["other"] = {key: value for key, value in self.instance.options.items() if key in rest}

    def _is_foreign(self, name: str) -> bool:
        if name in self._meta.fields or name == "other":  # type: ignore[operator]
            return False
        return name.partition("__")[0] not in self.known or (not self.signs_out_upstream and name.startswith("logout"))

    def _add_secrets(self) -> None:
        for name in self.secret_fields():
            known = name in self.instance.sealed_options
            state = "Set. Type a new one to replace it." if known else "Not set."
            self.fields[name] = forms.CharField(
                label=SECRET_LABELS[name],
                required=False,
                max_length=rules.LONGEST_SECRET,
                widget=SecretLines(attrs={"rows": 4, "class": "lines"})
                if name in PEM_SECRETS
                else forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
                help_text=f"{self.secret_help.get(name, '')} {state}".strip(),
            )
            if known:
                self.fields[_CLEAR + name] = forms.BooleanField(
                    label=f"{SECRET_LABELS[name]}: remove", required=False, help_text="Nothing takes its place."
                )

    def secret_fields(self) -> tuple[str, ...]:
        return tuple(sorted(self.known & SECRETS))

    def option_fields(self) -> tuple[str, ...]:
        apart = {*self._meta.fields, *SECRETS, "other"}  # type: ignore[misc]
        return tuple(name for name in self.fields if name not in apart and not name.startswith(_CLEAR))

    def covered(self) -> set[str]:
        """Options of which the form shows something."""
        return {name.partition("__")[0] for name in self.option_fields()}

    def fieldsets(self) -> list[tuple[str, dict[str, Any]]]:
        signing_out = Topic("Signing out there", ("logout__hint", "logout__url"), collapsed=True)
        proof = Topic("Second factor", ("require_mfa", "trust_upstream_mfa", "mfa_acr_values"))
        signals = Topic("Shared Signals", SIGNALS, SIGNALS_TEXT, collapsed=True)
        rest = Topic("All other options", ("other",), "For what has no field above.", collapsed=True)
        return [
            _fieldset(topic, fields)
            for topic in (*self.topics, proof, signing_out, signals, rest)
            if (fields := tuple(self._shown(topic)))
        ]

    def _shown(self, topic: Topic) -> Iterator[str]:
        for name in topic.fields:
            yield from (field for field in (name, _CLEAR + name) if field in self.fields)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        for name in self.secret_fields():
            if cleaned.get(name) and cleaned.get(_CLEAR + name):
                self.add_error(_CLEAR + name, "Type a new one or remove the old one, not both.")
        if not self.errors:
            for problem in rules.problems(self._will_be()):
                self.add_error(self._field_of(problem), str(problem))
        if not self.errors:
            self._check_trust(self._change())
        return cleaned

    def _will_be(self) -> Connection:
        row, typed = self.instance, self.cleaned_data
        looks = {name: typed.get(name, "") for name in COSMETIC}
        return Connection(name=row.name, strategy=row.strategy, options=self.merged_options(), **looks)

    def _change(self) -> trust.ConnectionChange:
        given = {name for name in self.secret_fields() if self.cleaned_data.get(name)}
        removed = {name for name in self.secret_fields() if self.cleaned_data.get(_CLEAR + name)}
        return trust.ConnectionChange(
            self.instance,
            self.merged_options(),
            frozenset(given),
            frozenset(removed),
            enabled_for_all=self.cleaned_data["enabled_for_all"],
            enabled_clients=frozenset(client.client_id for client in self.cleaned_data["enabled_clients"]),
        )

    def _check_trust(self, change: trust.ConnectionChange) -> None:
        if refused := trust.refusal(change, self.author):
            self.add_error(None, said(refused, self.back))
        for secret, sentence in trust.untyped(change).items():
            self.add_error(secret, sentence)
        self.differences = trust.differences(change)

    def _field_of(self, problem: rules.ConnectionProblem) -> str | None:
        path = problem.option.replace(".", "__") or problem.field
        key = path.partition("__")[0]
        if key in self.fields["other"].keys:  # type: ignore[attr-defined]
            return "other"
        return next((name for name in (path, key) if name in self.fields), None)

    def save(self, commit: bool = True) -> Connection:
        self.instance.options = self.merged_options()
        for name in self.secret_fields():
            if value := self.cleaned_data.get(name):
                context = secret_context(self.instance.name, name)
                self.instance.sealed_options[name] = sealing.seal(value, context)
            elif self.cleaned_data.get(_CLEAR + name):
                self.instance.sealed_options.pop(name, None)
        saved: Connection = super().save(commit)
        return saved

    def merged_options(self) -> dict[str, Any]:
        """The options as typed: an empty field takes its option away, members of an option that no field shows stay."""
        options = {key: value for key, value in self.instance.options.items() if key in self.covered()}
        options = {**copy.deepcopy(options), **self.cleaned_data.get("other", {})}
        for name in self.option_fields():
            value = self.cleaned_data.get(name)
            if value is False and not DEFAULTS.get(name) and _dig(options, name) is None:
                continue  # nobody said anything about it
            _put(options, name, value)
        return options


def _fieldset(topic: Topic, fields: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    return topic.title, {
        "fields": fields,
        "description": topic.text,
        "classes": ("collapse",) if topic.collapsed else (),
    }


def _dig(options: dict[str, Any], name: str) -> Any:
    key, _, member = name.partition("__")
    value = options.get(key)
    if not member:
        return value
    return value.get(member) if isinstance(value, dict) else None


def _put(options: dict[str, Any], name: str, value: Any) -> None:
    key, _, member = name.partition("__")
    if not member:
        holder, last = options, key
    else:
        holder = options[key] if isinstance(options.get(key), dict) else {}
        options[key], last = holder, member
    if value in EMPTY:
        holder.pop(last, None)
    else:
        holder[last] = value
    if member and not holder:
        options.pop(key, None)
