"""Names from outside that run from right to left stay in their place, on every page and in every template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.utils import timezone

from idp.directory import memberships
from idp.models import Application, Connection, TenantSettings, User
from idp.protocol.text import bidi
from idp.templatetags.bidi import isolate
from tests.support.factories import browser, make_session, make_user
from tests.support.oauth import request_params
from tests.support.site_map import Rows, addresses

TEMPLATES = sorted(path for folder in settings.TEMPLATES[0]["DIRS"] for path in Path(folder).rglob("*.html"))
HEBREW = "\u05d0\u05d1\u05d2"
OVERRIDE = "\u202e"
NAME = f"{HEBREW} {OVERRIDE}ltd"
CONTROLS = re.compile("[\u202a-\u202e]")
# What may stand in a text without a filter: numbers, times, and words of our own or of those who configure Curfew.
OURS = re.compile(
    r"""
    .*\|(isolate|isolate_each|isolate_text|length|pluralize.*|date:.*|slice:.*|moment|day|weekday|listed|seconds)$  # shown by a filter that says how
    | (done|total|dead|figure\.(value|label|more|drawn)|item\.(words|action|label)|row\.(seconds|initial)|button\.initial)
    | (device|keeper)\.(ago|active|used|told|reachable) | (upstream|words)\.\w+ | question\.button
    | warning  # alone in its element
    | whom | language  # made by contact.html
    | headline|redirect_field|block\.super|again_label | technical | label|entry\.(label|value|where)
    | (title|message|error|notice|question\.title|hidden|field|form|code|item|sentence)  # alone in their element
    | form\..* | field\.(label|help_text|contents|label\|capfirst) | attempt\.(number|status|duration_ms)
    | (opts|facts\.opts)\..* | act\.label | secret | tested_at | not_told | empty | name | value | title
    | finding\.(verdict\.label|sentence|text|level) | report\.(channel|uri) | group\.(title|text) | radio\..*
    | problem\.(field|reason|instead) | cl\.search_help_text | tenant\.support_email | connection\.name
    | .*_at(\|default:".*")? | .*\|seconds | .*\|floatformat:1 | count | zone | spec\.zone  # times and numbers
    | person\.answer\.sentence  # composed of isolated names
    | report\.(asked\.(since|until)|took\.count)
    | cell | header\.(sort_priority|text\|capfirst) | (head|place\.name)\|capfirst | field\.(errors|label_tag)  # a cell stands alone; the admin's words
    | page\.(number|paginator\.num_pages) | row\.devices | at_stake\.\w+ | sessions | most | line\.end | unused | all | remember_days  # numbers
    | unused_code_count | total_count | refused\|length\|add:"-5" | tab\.errors | report\.seconds\|floatformat:2 | .*\.event\.at
    | offline_app\.used | word | words | (tab|kind|snippet)\.title | kind\.text | report\.finding\.verdict\.label  # our words
    | account\.connection\.get_strategy_display
    | way\.description | called | last | empty\|default:".*" | page | action_list\.paginator\.count  # our words, and numbers
    | action\.action_time | action\.get_change_message\|default:".*" | deleted_objects\|unordered_list  # each alone in its cell or line
    | options\|json_script:"passkey-options" | environment | snippet\.code | js_data\|json_script:"js_data"  # alone in their element
    | attrs\..* | webauthn_form\.credential\.auto_id | entry\.facts\|join:.* | deaf_to\|join:.* | one\.level | object_url | guarded | continue_url
    """,
    re.VERBOSE,
)


TRANSLATED = re.compile(r"\{% blocktranslate(.*?) %\}(.*?)\{% endblocktranslate %\}", re.DOTALL)


def _bound(arguments: str, text: str) -> str:
    """What `blocktranslate` shows is what it was given by name."""
    given = dict(re.findall(r"(\w+)=(\S+)", arguments))
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda name: f"{{{{ {given.get(name[1], name[1])} }}}}", text)


def values_in_text(source: str) -> Iterator[str]:
    """The expressions of a template that are shown as text beside other text: neither in a tag nor in a comment."""
    text = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", source, flags=re.DOTALL)
    text = TRANSLATED.sub(lambda found: _bound(found[1], found[2]), text)
    text = re.sub(r"<[a-zA-Z/!](?:\{%.*?%\}|\{\{.*?\}\}|[^<>{]|\{(?![{%]))*>", "", text, flags=re.DOTALL)
    yield from re.findall(r"\{\{\s*(.+?)\s*\}\}", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.name))
def test_every_template_isolates_what_it_shows_beside_other_text(path: Path) -> None:
    bare = [value for value in values_in_text(path.read_text()) if not OURS.fullmatch(value)]
    assert bare == [], f"{path.name}: write {{{{ {bare[:1]}|isolate }}}}, or say here why it cannot come from outside"


class _Texts(HTMLParser):
    """Every text with the names of the elements that it is in."""

    VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.found: list[tuple[tuple[str, ...], str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.found.append((tuple(self.inside), data))


def texts(html: str) -> list[tuple[tuple[str, ...], str]]:
    parser = _Texts()
    parser.feed(html)
    return parser.found


def _name_everything() -> None:
    Application.objects.update(name=NAME)
    Connection.objects.update(display_name=NAME)
    User.objects.update(name=NAME)
    TenantSettings.objects.update(friendly_name=NAME)
    for row in (*Application.objects.all(), TenantSettings.objects.get()):
        row.save()  # a new version of the configuration


@pytest.mark.django_db
@pytest.mark.once
def test_no_page_of_a_person_shows_such_a_name_without_isolating_it(
    person_in: Callable[[str], User | None], furnished: Callable[[], Rows]
) -> None:
    rows = furnished()
    user = person_in("second factor")
    assert user is not None
    _name_everything()
    foreign = Application.objects.first()
    assert foreign is not None
    foreign.is_first_party = False
    foreign.save()
    shown = 0
    asked = "&".join(f"{name}={value}" for name, value in request_params(foreign).items())
    for path in (*addresses(rows), f"/authorize?{asked}", "/oidc/logout", "/account/sessions"):
        if path.startswith("/admin"):
            continue
        answer = browser(make_session(user, foreign)).get(path, headers={"Accept": "text/html"})
        if "text/html" not in answer.get("Content-Type", ""):
            continue
        for inside, text in texts(answer.content.decode()):
            assert not CONTROLS.search(text), (path, text)
            if HEBREW not in text:
                continue
            shown += 1
            assert "bdi" in inside or bidi.FIRST_STRONG in text or "app-icon" in inside, (path, inside, text)
    assert shown > 20


@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("Timesheet & Co", "Timesheet &amp; Co"),
        ("Überwachung 東京", "Überwachung 東京"),
        (HEBREW, f"<bdi>{HEBREW}</bdi>"),
        (f"<b>{HEBREW}", f"<bdi>&lt;b&gt;{HEBREW}</bdi>"),
        ("abc\u202ecba", "abccba"),
        ("a\u2069\u2066b\u202c", "ab"),
    ],
)
def test_a_name_is_isolated_where_it_runs_from_right_to_left(name: str, html: str) -> None:
    assert Template("{{ name|isolate }}").render(Context({"name": name})) == html


def test_a_title_has_characters_in_place_of_an_element() -> None:
    title = Template("{{ name|isolate_text }} & {{ plain|isolate_text }}").render(
        Context({"name": f"<{NAME}", "plain": "App"})
    )
    assert title == f"\u2068&lt;{HEBREW} ltd\u2069 & App"


def test_a_time_is_written_as_everywhere_else() -> None:
    assert isolate(datetime(2026, 1, 31, 23, 30, 5, 123, tzinfo=UTC)) == "2026-01-31 23:30 UTC"
    assert isolate(12_000) == "12000"


def test_each_of_several_names_is_isolated() -> None:
    names = Template("{{ names|isolate_each }}").render(Context({"names": ["A&B", HEBREW]}))
    assert names == f"A&amp;B, <bdi>{HEBREW}</bdi>"


@pytest.mark.django_db
@pytest.mark.once
def test_a_persons_page_and_lists_of_the_admin_isolate_names() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    mary = make_user(name=NAME, is_active=False)
    User.objects.filter(pk=mary.pk).update(email=f"{HEBREW}@fabrikamcorp.com")
    memberships.add_person(memberships.group_of(None, HEBREW), mary, actor="admin:a", at=timezone.now())
    page = admin.get(f"/admin/idp/user/{mary.pk}/change/").content.decode()
    assert f"{bidi.isolated(f'{HEBREW}@fabrikamcorp.com')} is blocked" in page
    assert f"{bidi.isolated(HEBREW)}: said by" in page
    assert OVERRIDE not in admin.get("/admin/idp/user/").content.decode()
