"""In which language a request is answered: `ui_locales`, the person's own choice, the browser's wish, the tenant's default.

No statement is made for it. What a request learns on its way counts from then on (`heard_of`), until a page is written
(`settle`), which is in one language from its first word to its last.

Two cookies: the one of `ui_locales` lasts for the way that began with it (sign-in, second factor, the trip upstream, sign-out)
and goes with the answer to the application; the other says what the person who used this browser last has chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from idp.http import visit
from idp.models import TenantSettings
from idp.protocol.text import languages
from idp.tenants import configuration

ASKED_FOR = 3600  # seconds, like the state of a flow
CHOSEN_FOR = 365 * 24 * 3600
ENGLISH = ("/admin/",)  # its pages are in English


@dataclass(slots=True)
class Speech:
    """What one request knows of its language; "" is not known. `is_settled`: a page is being written."""

    asked: str = ""
    chosen: str = ""
    accepted: str = ""
    is_settled: bool = False
    is_new: bool = False  # `asked` is not in the browser's cookie yet
    is_over: bool = False  # the way that `asked` was for
    is_of_person: bool = False  # `chosen` is what somebody who is known chose, "" if they never did

    @property
    def best(self) -> str:
        return self.asked or self.chosen or self.accepted


class LanguageMiddleware:
    """Before everything that may answer with a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        speech = _begin(request)
        try:
            response = self.get_response(request)
            return response if speech is None else _said(request, response, speech)
        finally:
            translation.deactivate()


def available() -> list[str]:
    return [code for code, _ in settings.LANGUAGES]


def _cookie(request: HttpRequest, name: str) -> str:
    """The language of ours in this cookie."""
    return known(request.COOKIES[name]) if name in request.COOKIES else ""


def _accepted(request: HttpRequest) -> str:
    header = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
    return languages.first_known(languages.of_accept_language(header), available()) if header else ""


def known(wanted: str) -> str:
    """The language of ours that this tag means; "": none."""
    ours = available()
    return wanted if wanted in ours else languages.first_known([wanted], ours)


def default_of(tenant: TenantSettings) -> str:
    return (known(tenant.default_language) if tenant.default_language else "") or settings.LANGUAGE_CODE


def wish(request: HttpRequest, ui_locales: str) -> None:
    """An application asks for a language, for this request and what follows from it. Unknown ones are no error."""
    speech = _of(request)
    found = languages.first_known(languages.of_ui_locales(ui_locales), available())
    if speech is None or not found or speech.is_settled:
        return
    speech.asked = found
    speech.is_new = found != request.COOKIES.get(settings.ASKED_LANGUAGE_COOKIE_NAME)
    _speak(speech)


def heard_of(request: HttpRequest, chosen: str) -> None:
    """Whose request this is has become known, and what they chose; "": nothing."""
    speech = _of(request)
    if speech is None or speech.is_settled:
        return
    speech.chosen, speech.is_of_person = known(chosen) if chosen else "", True
    _speak(speech)


def choose(request: HttpRequest, chosen: str) -> None:
    """The person chooses, now: what an application asked for before is over."""
    speech = _of(request)
    if speech is not None:
        speech.asked, speech.is_over = "", True
        heard_of(request, chosen)


def finished(request: HttpRequest) -> None:
    """The application gets its answer: the way that it asked a language for ends."""
    speech = _of(request)
    if speech is not None:
        speech.is_over = True


def settle(request: HttpRequest) -> str:
    """The language of the page that is about to be written. The last that can still be asked is asked now: the session,
    which such a page shows anyway, and the tenant."""
    speech = _of(request)
    if speech is None or speech.is_settled:
        return current()
    visitor = visit.of(request)
    if not speech.asked and visitor is not None and (chosen := visitor.chosen_language) is not None:
        heard_of(request, chosen)
    speech.is_settled = True
    if not speech.best:
        translation.activate(default_of(visit.snapshot_of(request).tenant))
    return current()


def current() -> str:
    return translation.get_language() or settings.LANGUAGE_CODE


def in_words(text: str) -> str:
    """A sentence in the language of the moment, if it is one of ours; what others wrote stays as it is."""
    return translation.gettext(text) if text else ""  # the translation of nothing is a catalogue's header


def listed(names: Iterable[object]) -> str:
    """With commas, and a word before the last."""
    *others, last = map(str, names)
    values = {"names": ", ".join(others), "last": last}
    return translation.gettext("%(names)s and %(last)s") % values if others else last


def asked_of(request: HttpRequest) -> str:
    """What was asked for by `ui_locales`, if anything was."""
    speech = _of(request)
    return speech.asked if speech is not None else ""


def _begin(request: HttpRequest) -> Speech | None:
    if request.path_info.startswith(ENGLISH):
        translation.activate("en")
        return None
    speech = Speech(
        asked=_cookie(request, settings.ASKED_LANGUAGE_COOKIE_NAME),
        chosen=_cookie(request, settings.CHOSEN_LANGUAGE_COOKIE_NAME),
        accepted=_accepted(request),
    )
    request.speech = speech  # type: ignore[attr-defined]  # `_of` reads it with its type
    _speak(speech)
    if "ui_locales=" in request.META.get("QUERY_STRING", ""):
        wish(request, request.GET.get("ui_locales", ""))
    return speech


def _of(request: HttpRequest) -> Speech | None:
    """None in the admin, for programs, and for what is answered before."""
    speech: Speech | None = getattr(request, "speech", None)
    return speech


def _speak(speech: Speech) -> None:
    """Where nobody wants anything: as the tenant wanted when somebody last looked. `settle` looks again."""
    best = speech.best
    if not best:
        remembered = configuration.remembered_tenant()
        best = default_of(remembered) if remembered is not None else settings.LANGUAGE_CODE
    translation.activate(best)


def _said(request: HttpRequest, response: HttpResponse, speech: Speech) -> HttpResponse:
    is_page = response.headers.get("Content-Type", "").startswith("text/html") and not 300 <= response.status_code < 400
    if is_page:
        response.headers.setdefault("Content-Language", current())
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
    _tell_browser(request, response, speech, is_page=is_page)
    return response


def _tell_browser(request: HttpRequest, response: HttpResponse, speech: Speech, *, is_page: bool) -> None:
    asked, chosen = settings.ASKED_LANGUAGE_COOKIE_NAME, settings.CHOSEN_LANGUAGE_COOKIE_NAME
    if speech.is_over:
        _forget(request, response, asked)
    elif speech.is_new:
        _remember(response, asked, speech.asked, ASKED_FOR)
    if speech.is_of_person and is_page:
        if not speech.chosen:
            _forget(request, response, chosen)
        elif speech.chosen != request.COOKIES.get(chosen):
            _remember(response, chosen, speech.chosen, CHOSEN_FOR)


def _remember(response: HttpResponse, name: str, value: str, max_age: int) -> None:
    """As the state of a flow: answers of identity providers come as cross-site POSTs."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )


def _forget(request: HttpRequest, response: HttpResponse, name: str) -> None:
    if name in request.COOKIES:
        response.delete_cookie(name, path="/", samesite=settings.SESSION_COOKIE_SAMESITE)
