"""E-mail templates: an administrator's words for a mail, where there are any. Places are Liquid's, `{{ url }}`, and nothing else of
Liquid; bodies are plain text, as our mails are.

At Auth0 a template is in one language. Here it is in the tenant's, and `languages` (ours) has the others.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from idp.branding import texts
from idp.tenants import configuration, trail
from logout_app.api.frame import body
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import FIELDS, Call, Operation

Written = dict[str, dict[str, dict[str, str]]]  # mail -> language -> subject, body
# What Auth0 calls a place, by what we call it; the first is what we answer.
LIQUID: Mapping[str, tuple[str, ...]] = {
    "url": ("url",),
    "code": ("code",),
    "reset_url": ("reset_url",),
    "tenant": ("friendly_name", "tenant", "application.tenant.friendly_name"),
    "address": ("user.email", "email"),
    "name": ("user.name", "name"),
    "connection": ("connection.name", "connection"),
}
_OURS = {theirs: ours for ours, names in LIQUID.items() for theirs in names}
_PLACE = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")
_MARKUP = re.compile(r"<[a-zA-Z!/]")
SYNTAX = "liquid"


def get(call: Call, name: str) -> Any:
    """404 as long as nobody wrote one: ours is sent."""
    tenant = configuration.load_tenant()
    return shape(name, _of(tenant.mail_templates, name), tenant.default_language)


def create(call: Call) -> Any:
    name = str(call.body.get("template", ""))
    if name not in texts.MAILS:
        raise ApiError(400, f"There is no mail {name[:50]!r} here: {', '.join(texts.MAILS)}", "operation_not_supported")
    if trail.stored().mail_templates.get(name):  # held, as whoever writes another language now would lose it
        raise ApiError(409, "The email template exists already", "conflict")
    return _save(call, name, {}, whole=True)


def update(call: Call, name: str) -> Any:
    """What the body names; 404 as long as nobody wrote one."""
    return _save(call, name, _of(trail.stored().mail_templates, name), whole=False)


def replace(call: Call, name: str) -> Any:
    _of(trail.stored().mail_templates, name)
    return _save(call, name, {}, whole=True)


def delete(call: Call, name: str) -> None:
    _of(trail.stored().mail_templates, name)
    _store(call, name, {})


def _of(written: Written, name: str) -> dict[str, dict[str, str]]:
    found = written.get(name)
    if not found:
        raise ApiError(404, "The email template does not exist", "inexistent_email_template")
    return found


def shape(name: str, said: Mapping[str, dict[str, str]], main: str) -> dict[str, Any]:
    """`main`: the tenant's language, or where there is no text in it, one that there is."""
    main = main if main in said else next(iter(said))
    others = {language: _in_liquid(text) for language, text in said.items() if language != main}
    return {
        "template": name,
        "enabled": True,
        "syntax": SYNTAX,
        "from": "",
        "resultUrl": "",
        "includeEmailInRedirect": False,
        **_in_liquid(said[main]),
        **({"languages": others} if others else {}),
    }


def _save(call: Call, name: str, before: dict[str, dict[str, str]], *, whole: bool) -> Any:
    main = configuration.load_tenant().default_language.partition("-")[0]
    main = main if main in before or not before else next(iter(before))
    with body.reading(call.body) as reader:
        _refuse_other(reader, name)
        said = {} if whole else dict(before)
        if reader.has("languages"):
            said = {main: said[main]} if main in said else {}
            said |= _languages(reader)
        given = {key: reader.text(key, longest=texts.LONGEST_BODY) for key in ("subject", "body")}
        kept = {} if whole else before.get(main, {})
        said[main] = {
            key: _ours(reader, key, value) if value is not None else kept.get(key, "") for key, value in given.items()
        }
        for language, text in said.items():
            if language not in texts.LANGUAGES:
                reader.problem(f"languages.{language}", f"is no language; there are {', '.join(texts.LANGUAGES)}")
                continue
            for problem in texts.mail_problems(name, text):
                reader.problem("" if language == main else f"languages.{language}", problem)
    return shape(name, _store(call, name, said), main)


def _refuse_other(reader: BodyReader, name: str) -> None:
    """What mails are not here: from another address, HTML, switched off, with links of another life."""
    if reader.text("template") not in (None, name):
        reader.problem("template", "cannot change")
    if reader.boolean("enabled") is False:
        reader.problem("enabled", "the mail is sent in any case; delete the template and our own text is")
    reader.choice("syntax", (SYNTAX,))
    for key in ("from", "resultUrl"):
        if reader.text(key):
            reader.problem(key, "is not kept here: leave it empty")
    if reader.boolean("includeEmailInRedirect"):
        reader.problem("includeEmailInRedirect", "addresses are not put into links here")
    if reader.integer("urlLifetimeInSeconds") is not None:
        reader.problem("urlLifetimeInSeconds", "how long a link lasts is not chosen here: leave it out")


def _languages(reader: BodyReader) -> dict[str, dict[str, str]]:
    found = {}
    for language, text in (reader.mapping("languages") or {}).items():
        fine = (
            isinstance(text, dict)
            and set(text) == {"subject", "body"}
            and all(isinstance(one, str) for one in text.values())
        )
        if not fine:
            reader.problem(f"languages.{language}", "must be an object with subject and body")
            continue
        found[language] = {key: _ours(reader, f"languages.{language}.{key}", value) for key, value in text.items()}
    return found


def _ours(reader: BodyReader, key: str, text: str) -> str:
    """Places in our braces. Other Liquid, and markup, would be sent as they stand."""
    if _MARKUP.search(text):
        reader.problem(key, "is plain text here: it holds markup")
    found = _PLACE.sub(lambda place: f"{{{_OURS[place[1]]}}}" if place[1] in _OURS else place[0], text)
    if "{{" in found or "{%" in found:
        reader.problem(key, f"has Liquid that is not known here; there are {', '.join(_OURS)} in double braces")
    return found


def _in_liquid(said: Mapping[str, str]) -> dict[str, str]:
    def place(found: re.Match[str]) -> str:
        return f"{{{{ {LIQUID[found[1]][0]} }}}}" if found[1] in LIQUID else found[0]

    return {key: texts.PLACE.sub(place, said[key]) for key in ("subject", "body")}


def _store(call: Call, name: str, said: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    row = trail.stored()
    before = copy.copy(row)
    rest = {mail: written for mail, written in row.mail_templates.items() if mail != name}
    row.mail_templates = rest | ({name: said} if said else {})
    if row.mail_templates != before.mail_templates:
        row.save()
        trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return said


ONE = "email-templates/<str:name>"
OPERATIONS = (
    Operation("POST", "email-templates", ["create:email_templates"], create, "Words of one's own for a mail.", 200),
    Operation("GET", ONE, ["read:email_templates"], get, "One; 404 while ours is sent.", query=FIELDS),
    Operation("PATCH", ONE, ["update:email_templates"], update, "Other words."),
    Operation("PUT", ONE, ["update:email_templates"], replace, "Other words, in these languages only."),
    Operation("DELETE", ONE, ["delete:email_templates"], delete, "Our own words again. Ours, not Auth0's.", 204),
)  # fmt: skip
