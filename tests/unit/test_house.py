"""The house keeps its own rules: imports, migrations, settings, templates, paper."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command, get_commands
from django.db.migrations.loader import MigrationLoader
from django.urls import URLPattern, URLResolver, get_resolver

from idp import conf
from tests.support import api_page, compliance

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
APPS = ("idp", "sessions_app", "logout_app")


def run(*argv: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


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


# What Django, Celery and WSGI look for by name.
GIVEN = {
    "__init__.py",
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


# --- settings --------------------------------------------------------------------------------------------------------
def production(tmp_path: Path, **changes: str) -> dict[str, str]:
    """The environment of a good production installation, with changes."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    good = {
        "ISSUER": "https://id.example.com/",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CURFEW_ENCRYPTION_KEYS": secrets.token_urlsafe(32),
        "CURFEW_DATA": str(tmp_path / "data"),
        "DATABASE_URL": "postgres://curfew:secret@db.example.com/curfew",
        "REDIS_URL": "redis://:secret@redis.example.com:6379/0",
        "CURFEW_TRUSTED_PROXIES": "10.0.0.0/8",
        "CURFEW_OUTBOUND_ALLOW": "10.20.0.0/16",
        "CURFEW_EMAIL_URL": "smtp+tls://curfew:secret@mail.example.com:587",
    }
    return {name: value for name, value in {**kept, **good, **changes}.items() if value != "unset"}


def deploy_check(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING", env=env)


def test_production_settings_pass_the_deploy_check(tmp_path: Path) -> None:
    result = deploy_check(production(tmp_path))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ISSUER": "http://localhost:8000/"}, "ISSUER"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"CURFEW_ENCRYPTION_KEYS": "unset"}, "CURFEW_ENCRYPTION_KEYS"),
        ({"CURFEW_ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"CURFEW_OUTBOUND_ALLOW": "0.0.0.0/0"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_OUTBOUND_ALLOW": "intranet"}, "CURFEW_OUTBOUND_ALLOW"),
        ({"CURFEW_TRUSTED_PROXIES": "10.0.0.1/8"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "unset"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "10.0.0.0/8,::/0"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_TRUSTED_PROXIES": "::ffff:0:0/96"}, "CURFEW_TRUSTED_PROXIES"),
        ({"CURFEW_ADMIN_NETWORKS": "office"}, "CURFEW_ADMIN_NETWORKS"),
        ({"CURFEW_OUTBOUND_PORTS": "443-80"}, "CURFEW_OUTBOUND_PORTS"),
        ({"CURFEW_WEB_THREADS": "0"}, "CURFEW_WEB_THREADS"),
        ({"REDIS_URL": "redis://redis.example.com:6379/0"}, "REDIS_URL"),
        ({"CURFEW_EMAIL_URL": "unset"}, "CURFEW_EMAIL_URL"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None,
)
def test_the_deploy_check_fails_and_names_the_bad_setting(tmp_path: Path, change: dict[str, str], named: str) -> None:
    result = deploy_check(production(tmp_path, **change))
    assert result.returncode == 1
    assert named in result.stderr


def test_a_secret_file_that_everybody_reads_fails_the_deploy_check(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(secrets.token_urlsafe(48))
    path.chmod(0o644)
    result = deploy_check(production(tmp_path, SECRET_KEY="unset", SECRET_KEY_FILE=str(path)))
    assert result.returncode == 1
    assert "SECRET_KEY_FILE" in result.stderr
    path.chmod(0o600)
    assert deploy_check(production(tmp_path, SECRET_KEY="unset", SECRET_KEY_FILE=str(path))).returncode == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CURFEW_DELIVERY_TIMOUT": "9"}, "CURFEW_DELIVERY_TIMOUT"),
        ({"SECRET_KEY": "unset"}, "SECRET_KEY"),
        ({"ISSUER": "http://id.example.com/"}, "ISSUER"),
        ({"ISSUER": "https://id.example.com"}, "ISSUER"),
        ({"ISSUER": "https://id.example.com/login/"}, "ISSUER"),
        ({"PORT": "eighty"}, "PORT"),
        ({"CURFEW_COOKIE_SAMESITE": "lax"}, "CURFEW_COOKIE_SAMESITE"),
        ({"CURFEW_HSTS": "on"}, "CURFEW_HSTS"),
        ({"REDIS_URL": "sentinel://:secret@a,b"}, "REDIS_URL"),
        ({"CURFEW_FAILPOINT": "somewhere"}, "CURFEW_FAILPOINT"),
        ({"SECRET_KEY": "unset", "SECRET_KEY_FILE": "no-such-file"}, "SECRET_KEY_FILE"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_start_with_a_bad_setting_stops_and_names_it(tmp_path: Path, change: dict[str, str], named: str) -> None:
    result = run(sys.executable, "-c", "import idp.settings", env=production(tmp_path, **change))
    assert result.returncode == 1
    assert "ImproperlyConfigured" in result.stderr
    assert named in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("unset", "max-age=31536000"),
        ("subdomains", "max-age=31536000; includeSubDomains"),
        ("preload", "max-age=31536000; includeSubDomains; preload"),
        ("off", None),
    ],
)
def test_browsers_are_told_of_https_for_as_many_hosts_as_the_operator_says(tmp_path: Path, value, sent) -> None:
    """The issuer may be an apex whose other hosts are not ready for it."""
    code = (
        "import django; django.setup(); from django.test import Client; "
        "print(Client().get('/livez', secure=True, headers={'host': 'id.example.com'}).headers.get('Strict-Transport-Security'))"
    )
    env = production(tmp_path, CURFEW_HSTS=value, DATABASE_URL="unset") | {"DJANGO_SETTINGS_MODULE": "idp.settings"}
    assert run(sys.executable, "-c", code, env=env).stdout.strip() == str(sent)
    assert deploy_check(production(tmp_path, CURFEW_HSTS=value)).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.cached_db", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.cache", "sessions.E001"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.file", "sessions.E001"),
        ("SESSION_SERIALIZER", "example.PickleSerializer", "sessions.E002"),
        ("SESSION_SAVE_EVERY_REQUEST", True, "sessions.E003"),
        ("SSO_COOKIE_SAMESITE", "None", "sessions.E006"),
        ("PASSWORD_HASHERS", ["idp.people.hashers.ClientSecretHasher"], "idp.E010"),
        ("PASSWORD_HASHERS", ["idp.people.hashers.OwaspArgon2Hasher"], "idp.E011"),
        ("CELERY_ACCEPT_CONTENT", ["json", "pickle"], "idp.E014"),
        ("ALLOWED_HOSTS", ["*"], "idp.E015"),
        ("DEBUG", True, "idp.E024"),
        ("SECURE_HSTS_SECONDS", 0, "idp.E023"),
        ("SESSION_COOKIE_SECURE", False, "idp.E022"),
        ("SSO_COOKIE_NAME", "curfew_sso", "idp.E021"),
        ("LOG_LEVEL", "LOUD", "idp.E005"),
        ("CONTENT_SECURITY_POLICY", {"DIRECTIVES": {"script-src": ["'unsafe-inline'"]}}, "idp.E060"),
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}, "idp.E013"),
        ("MIDDLEWARE", ["django.contrib.auth.middleware.AuthenticationMiddleware"], "sessions.E005"),
    ],
)
def test_checks_find_settings_that_are_never_right(settings, name: str, value: object, code: str) -> None:
    """A session engine that survives the end of its row, hashers and the shared cache."""
    setattr(settings, name, value)
    assert code in [message.id for message in checks()]


def test_a_weak_oauth_gate_or_a_foreign_token_model_is_found(settings) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 30,
    }
    settings.OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "oauth2_provider.AccessToken"
    assert {"idp.E012", "sessions.E007", "sessions.E008"} <= {message.id for message in checks()}


def checks() -> list[CheckMessage]:
    return run_checks(tags=["security"], include_deployment_checks=True)


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


def test_the_specification_table_is_current() -> None:
    assert compliance.PAGE.read_text() == compliance.page(compliance.collect()), (
        "run `python -m tests.support.compliance`"
    )


def test_every_rule_of_the_logout_specifications_is_shown_or_listed_as_not_supported() -> None:
    assert compliance.missing(compliance.collect()) == []


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
