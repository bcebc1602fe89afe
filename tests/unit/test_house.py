"""The house keeps its own rules: imports, migrations, settings, templates, paper."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands
from django.db.migrations.loader import MigrationLoader
from django.urls import URLPattern, URLResolver, get_resolver

from idp import conf
from tests.support import api_page, compliance

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
APPS = ("idp", "sessions_app", "logout_app")


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


# --- code ------------------------------------------------------------------------------------------------------------
def test_imports_run_one_way_and_protocol_rules_are_pure() -> None:
    result = run(BIN / "lint-imports", "--no-cache")
    assert result.returncode == 0, result.stdout


def test_a_request_has_no_pockets() -> None:
    """What travels with a request is a field of a typed object. Three middlewares attach one, and one function each reads it."""
    pocket = re.compile(
        r"attr\((self\.)?request,|request\.__(class|dict)__|vars\(request\)|request\.\w+ = .*attr-defined"
    )
    found = {
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if pocket.search(path.read_text())
    }
    attach = {"idp/http/middleware.py", "idp/http/languages.py", "sessions_app/middleware.py"}
    read = {"idp/http/visit.py"}
    assert found == attach | read


def test_no_migration_depends_on_an_app_above_it() -> None:
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    below = {"idp": {"sessions_app", "logout_app"}, "sessions_app": {"logout_app"}}
    wrong = [
        f"{app}.{name} -> {needed}"
        for (app, name), migration in loader.disk_migrations.items()
        for needed, _ in migration.dependencies
        if needed in below.get(app, ())
    ]
    assert wrong == []


@pytest.mark.django_db
def test_migrations_are_complete() -> None:
    call_command("makemigrations", *APPS, check_changes=True, dry_run=True, verbosity=0)


def test_which_database_it_is_is_asked_in_one_room_and_in_one_file_of_a_package_at_most() -> None:
    """Migrations are told by the one who runs them."""
    asks = re.compile(r"\.vendor\b|\b(import|from) (psycopg|sqlite3)\b")
    asking = [
        path.relative_to(ROOT)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and asks.search(path.read_text())
    ]
    elsewhere = [str(path) for path in asking if path.parts[:2] != ("idp", "database") and path.name != "sql.py"]
    assert elsewhere == []


def test_files_stay_small() -> None:
    """Models are exempt: readers of Django look for an app's tables in one file. So is the table of the audit trail's kinds."""
    long = [
        f"{path.relative_to(ROOT)}: {count}"
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
        and path.name not in ("models.py", "events.py")
        and (count := len(path.read_text().splitlines())) > 400
    ]
    assert long == []


# What Python, Django, Celery and WSGI look for by name.
GIVEN = {
    "__init__.py",
    "__main__.py",
    "admin",
    "admin.py",
    "admin_site.py",
    "apps.py",
    "celery.py",
    "conf.py",
    "management",
    "migrations",
}
GIVEN |= {"models", "models.py", "settings.py", "tasks.py", "templatetags", "urls.py", "views", "wsgi.py"}


def test_a_room_can_be_seen_at_a_glance() -> None:
    """At most 20 entries a folder, not counting those that the frameworks look for by name; and it says what it is for."""
    rooms = {path.parent for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts}
    full, silent = [], []
    for room in sorted(rooms):
        inside = [each for each in room.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()]
        if sum(each.name not in GIVEN for each in inside) > 20:
            full.append(str(room.relative_to(ROOT)))
        if not GIVEN & {"management", "templatetags"} & set(room.parts) and not (room / "__init__.py").read_text():
            silent.append(str(room.relative_to(ROOT)))
    assert (full, silent) == ([], [])


def test_names_of_classes_are_unique() -> None:
    """Those that Django looks for by name may repeat; a resource of SCIM is called as its class is."""
    named = re.compile(r"^class ([A-Z]\w*)", re.MULTILINE)
    paths = [path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]
    found = Counter(name for path in paths for name in named.findall(path.read_text()))
    assert [
        name
        for name, count in found.items()
        if count > 1 and name not in {"Command", "DatabaseWrapper", "Group", "User"}
    ] == []


# --- templates and files ---------------------------------------------------------------------------------------------
INLINE = {
    "script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", re.I),
    "style element": re.compile(r"<style\b", re.I),
    "style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.I),
    "javascript URL": re.compile(r"javascript:", re.I),
}


def test_templates_have_nothing_inline() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for what, pattern in INLINE.items()
        if pattern.search(path.read_text())
    ]
    assert found == []


def tracked() -> Iterator[tuple[str, str]]:
    for name in run("git", "ls-files").stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".ico", ".woff2"):
            yield name, path.read_text()


def test_files_name_no_package_registry_and_no_path_of_a_machine() -> None:
    machine = re.compile(r"(?<![\w./-])/(?:" + "|".join(("root", "work", "home", "Users")) + r")/\w")
    registry = re.compile(
        "|".join((r"files\.pythonhosted", r"pypi\.org/sim" + "ple", r"regis" + r"try\.(npmjs|yarnpkg)"))
    )
    lines = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked()
        for number, line in enumerate(text.splitlines(), 1)
        if machine.search(line) or registry.search(line) or "--index-url" in line.replace('"--index-url"', "")
    ]
    assert lines == []


def test_the_compose_file_fits_its_schema() -> None:
    result = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert result.returncode == 0, result.stdout


def test_the_dockerfile_passes_hadolint() -> None:
    result = run(BIN / "hadolint", "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_the_compose_file_and_its_example_name_the_same_settings() -> None:
    compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    example = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.M))
    assert compose == example


def test_the_hashed_requirements_cover_every_dependency() -> None:
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / "requirements/base.txt").read_text(), re.M)
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [", 1)[1].split("\n]", 1)[0]
    wanted = re.findall(r'^\s*"([\w.-]+)', project, re.M)
    assert set(wanted) <= set(pins)
    test = (ROOT / "requirements/test.txt").read_text()
    assert [name for name in pins if f"\n{name}==" not in f"\n{test}" and f"\n{name}[" not in f"\n{test}"] == []


# --- paper -----------------------------------------------------------------------------------------------------------
def test_the_settings_page_names_every_setting_and_its_default() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.M))
    assert rows == {s.name: f"`{s.default}`" if s.default else "" for s in conf.SETTINGS}


def test_the_operations_page_names_every_command() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    ours = [name for name, app in get_commands().items() if app in APPS]
    assert ours
    assert [name for name in ours if f"manage.py {name}" not in text] == []


def test_the_endpoints_page_names_every_path() -> None:
    text = (ROOT / "docs/endpoints.md").read_text() + (ROOT / "docs/api.md").read_text()
    assert [path for path in paths(get_resolver()) if f"`{path}`" not in text] == []


def test_the_page_of_the_management_api_is_current() -> None:
    text = api_page.PAGE.read_text()
    assert text == api_page.page(text), "run `python -m tests.support.api_page`"


def paths(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every path that answers; Django admin's are one."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        if isinstance(entry, URLPattern):
            yield re.sub(r"\(\?P<(\w+)>[^()]*\)|<(?:\w+:)?(\w+)>", lambda found: f"{{{found[1] or found[2]}}}", path)
        elif entry.app_name == "admin":
            yield path
        else:
            yield from paths(entry, path)


@pytest.fixture(scope="module")
def marks() -> list[compliance.Mark]:
    return compliance.collect()


def test_the_specification_table_is_current(marks: list[compliance.Mark]) -> None:
    assert compliance.PAGE.read_text() == compliance.page(marks), "run `python -m tests.support.compliance`"


def test_every_rule_of_the_logout_specifications_is_shown_or_listed_as_not_supported(
    marks: list[compliance.Mark],
) -> None:
    assert compliance.missing(marks) == []


def test_the_security_page_names_files_that_exist() -> None:
    text = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"`((?:tests|templates|static|examples|" + "|".join(APPS) + r")/[\w/.-]*)`", text))
    assert len(named) > 60
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_line_about_interoperability_names_tests_that_exist() -> None:
    text = (ROOT / "docs/interoperability.md").read_text()
    lines = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what is really sent")
    ]
    named = re.compile(r"`(?:tests/)?([\w/]+\.py)::(\w+)`")
    assert len(lines) > 60
    assert [line for line in lines if line.count("|") != 4 or not named.search(line.split("|")[3])] == []
    missing = [
        f"{file}::{test}"
        for file, test in named.findall(text)
        if not (ROOT / "tests" / file).exists()
        or not re.search(rf"^ *(?:async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.M)
    ]
    assert missing == []


def test_comments_cite_nothing_that_a_stranger_cannot_open() -> None:
    """Ids of attack cases, and sections of papers that are not here. Faults have ids: docs/faults.md says what they are."""
    cases = r"\b(?:GTR|OUT|SAM|TOK|SND|SES|FRN|LDP|BRU|SSO|ADM|LGI|API)-\d{2,3}\b"
    cited = re.compile(rf"{cases}|\b[Dd]esign \d|\b[Bb]ehaviour (?:facts? |T)?\d|\bdjango-seams\b")
    faults = re.compile(r"\bF-[A-Z]\d{2}\b")
    known = set(faults.findall((ROOT / "docs" / "faults.md").read_text()))
    assert [f"{name}: {hit[0]}" for name, text in tracked() for hit in cited.finditer(text)] == []
    assert {fault for _, text in tracked() for fault in faults.findall(text)} <= known


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{name}: {target}"
        for name, text in tracked()
        if name.endswith(".md")
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)
        if not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert broken == []


def test_the_map_and_the_table_of_the_architecture_name_what_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = dict(_rooms_of(text.split("```")[1]))
    assert set(rooms) >= {f"{app}/{room}/" for app in APPS for room in ("protocol", "views")}
    missing = [room for room in rooms if not (ROOT / room).exists()]
    missing += [
        f"{room}: {name}"
        for room, words in rooms.items()
        for name in re.findall(r"\b[\w/]+\.py\b", words)
        if not any((ROOT / room.split("/")[0]).rglob(name))
    ]
    table = text.partition("## Where to change what")[2]
    missing += [name for name in re.findall(r"`([\w/]+(?:\.(?:py|md)|/))`", table) if not _found(name)]
    assert missing == []


def _rooms_of(tree: str) -> Iterator[tuple[str, str]]:
    """Each folder or file that begins a line of the tree, and what is said of it."""
    app, room, words = "", "", ""
    for line in tree.strip().splitlines():
        if begins := re.match(r"(  )?([\w/]+(?:/|\.py)) +(.*)", line):
            if room:
                yield room, words
            app = app if begins[1] else begins[2]
            room, words = (app + begins[2] if begins[1] else app), begins[3]
        else:
            words += line
    yield room, words


def _found(name: str) -> bool:
    return (ROOT / name).exists() or name == "options.py"  # each strategy has one
