"""Curfew's settings, from the environment (`idp/conf.py` lists every name). Secure unless the issuer is http on loopback."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from idp import conf
from idp.database import addresses
from idp.http.serving.limits import LONGEST_BODY
from idp.operations import catalogues, masking
from idp.operations.tracing import switch as tracing
from idp.redis import clients as redis_clients

conf.refuse_unknown()
BASE_DIR = Path(__file__).resolve().parent.parent
IS_CHECKOUT = (BASE_DIR / "manage.py").is_file()  # else a wheel, which has its resources below idp (pyproject.toml)
RESOURCES = BASE_DIR if IS_CHECKOUT else BASE_DIR / "idp" / "resources"
DATA = (BASE_DIR if IS_CHECKOUT else Path.cwd()) / conf.read("CURFEW_DATA")
PORT = conf.read_int("PORT")
ISSUER = conf.read_issuer()
ISSUER_PARTS = urlsplit(ISSUER)
ISSUER_ORIGIN = ISSUER.rstrip("/")
HTTPS = ISSUER_PARTS.scheme == "https"
DEBUG = False
SECRET_KEY = conf.read_secret_key(production=HTTPS, data=DATA)
ENCRYPTION_KEYS = conf.read_list("CURFEW_ENCRYPTION_KEYS")
KMS_COMMAND = conf.read("CURFEW_KMS_COMMAND")
JWKS_MAX_AGE = conf.read_int("CURFEW_JWKS_MAX_AGE")
SIGNING_KEY_DAYS = conf.read_int("CURFEW_SIGNING_KEY_DAYS")
FAILPOINT = conf.read("CURFEW_FAILPOINT")
if FAILPOINT and HTTPS:
    raise ImproperlyConfigured("CURFEW_FAILPOINT is for tests on a loopback issuer only.")

ALLOWED_HOSTS = [
    ISSUER_PARTS.hostname or "",
    *conf.read_list("CURFEW_ALLOWED_HOSTS"),
    *([] if HTTPS else ["127.0.0.1", "localhost"]),
]
TRUSTED_PROXIES = conf.read_list("CURFEW_TRUSTED_PROXIES")
FORWARDED_HEADER = conf.read_choice("CURFEW_FORWARDED_HEADER", ("X-Forwarded-For", "Forwarded"))
ADMIN_NETWORKS = conf.read_list("CURFEW_ADMIN_NETWORKS")
DEMO = conf.read("CURFEW_DEMO") != "0" and IS_CHECKOUT and (BASE_DIR / "examples").is_dir()
BIND = conf.read("CURFEW_BIND")
WEB_WORKERS = conf.read_int("CURFEW_WEB_WORKERS")
WEB_THREADS = conf.read_int("CURFEW_WEB_THREADS")

OUTBOUND_ALLOW = conf.read_list("CURFEW_OUTBOUND_ALLOW")
OUTBOUND_PORTS = conf.read_list("CURFEW_OUTBOUND_PORTS")
OUTBOUND_PROXY = conf.read_outbound_proxy()
PER_APP_IN_FLIGHT = conf.read_int("CURFEW_PER_APP_IN_FLIGHT")
IN_FLIGHT = conf.read_int("CURFEW_IN_FLIGHT")
DELIVERY_TIMEOUT = conf.read_int("CURFEW_DELIVERY_TIMEOUT")
DELIVERY_MAX_AGE = conf.read_int("CURFEW_DELIVERY_MAX_AGE")
METRICS_TOKEN = conf.read("CURFEW_METRICS_TOKEN")
TRACE_DELIVERIES = conf.read_choice("CURFEW_TRACE_DELIVERIES", ("0", "1")) == "1"

# --- applications and requests ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "logout_app",
    "sessions_app",
    "idp",
    "idp.admin_site.CurfewAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # for a template of allauth's
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "oauth2_provider",
    "rest_framework",
    "csp",
    "django_structlog",
]
MIDDLEWARE = [
    "idp.http.requests.ForwardedMiddleware",
    "idp.http.middleware.ProbesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "idp.http.middleware.HeadersMiddleware",
    "idp.http.middleware.RequestLogMiddleware",
    *(["idp.operations.tracing.middleware.TracingMiddleware"] if tracing.wanted() else []),
    "idp.http.middleware.ProgramsMiddleware",
    "idp.http.languages.LanguageMiddleware",
    "idp.http.time_zones.TimeZoneMiddleware",
    "idp.http.requests.AdminNetworksMiddleware",
    "idp.http.static_files.StaticFilesMiddleware",
    "idp.http.speculation.NothingInAdvanceMiddleware",
    "idp.http.content_policy.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sessions_app.middleware.SSOSessionMiddleware",
    "sessions_app.middleware.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "idp.views.errors.NotAllowedMiddleware",
    "idp.views.errors.LongFieldsMiddleware",
]
ROOT_URLCONF = "idp.urls"
WSGI_APPLICATION = "idp.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [RESOURCES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "idp.templatetags.bidi", "idp.templatetags.texts"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "idp.http.tenant.context",
            ],
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [RESOURCES / "static"]
STATIC_ROOT = DATA / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "idp.http.static_files.StaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = LONGEST_BODY
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- database, cache, broker -----------------------------------------------------------------------------------------
DATABASE_LOCK_TIMEOUT = conf.read_int("CURFEW_DATABASE_LOCK_TIMEOUT")
DATABASE_STATEMENT_TIMEOUT = conf.read_int("CURFEW_DATABASE_STATEMENT_TIMEOUT")
DATABASE_SESSION_SETTINGS = conf.read("CURFEW_DATABASE_SESSION_SETTINGS") != "0"
DATABASES = addresses.databases(DATA)
DATABASE_ROUTERS = addresses.routers()

REDIS_URL = conf.read_redis_url()
REDIS_LIMITS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": None}
CACHES: dict[str, dict[str, object]] = {
    # Shared by all processes: allauth keeps TOTP replay marks in it.
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [REDIS_URL],  # a text would be split at its commas
        "OPTIONS": {"pool_class": "idp.redis.clients.CachePool", **REDIS_LIMITS},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "curfew_cache"}
}

if REDIS_URL:
    CELERY_BROKER_URL, CELERY_BROKER_USE_SSL, CELERY_BROKER_TRANSPORT_OPTIONS = redis_clients.broker(REDIS_URL)
else:
    CELERY_BROKER_URL = "filesystem://localhost/"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA / "broker"),
        "data_folder_out": str(DATA / "broker"),
        "control_folder": str(DATA / "broker-control"),
    }
    for _folder in ("broker", "broker-control"):  # kombu expects them
        (DATA / _folder).mkdir(parents=True, exist_ok=True)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_POOL = "logout_app.worker.pool:TaskPool"  # threads
CELERY_WORKER_CONCURRENCY = 4  # tasks that take long may keep all but one (`idp/processes/places.py`)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "expire sessions": {"task": "logout_app.tasks.expire_sessions", "schedule": 60, "options": {"expires": 55}},
    "watch ends": {"task": "logout_app.tasks.watch_ends", "schedule": 60, "options": {"expires": 55}},
    "seal the trail": {"task": "logout_app.tasks.seal_trail", "schedule": 60, "options": {"expires": 55}},
    "security mails": {"task": "logout_app.tasks.find_security_mails", "schedule": 60, "options": {"expires": 55}},
    "purge history": {"task": "logout_app.tasks.purge_history", "schedule": 600, "options": {"expires": 590}},
    "refresh SAML": {"task": "idp.tasks.refresh_saml_metadata", "schedule": 86400, "options": {"expires": 3600}},
    "rotate signing keys": {"task": "idp.tasks.rotate_signing_keys", "schedule": 60, "options": {"expires": 55}},
    "run jobs": {"task": "sessions_app.tasks.run_transfer_jobs", "schedule": 5, "options": {"expires": 4}},
    "send mails": {"task": "sessions_app.tasks.send_mails", "schedule": 5, "options": {"expires": 4}},
    "end leavers": {"task": "logout_app.tasks.end_sessions_of_leavers", "schedule": 900, "options": {"expires": 800}},
    "poll signals": {"task": "logout_app.tasks.poll_signals", "schedule": 15, "options": {"expires": 14}},
    "watch upstreams": {"task": "idp.tasks.watch_upstreams", "schedule": 30, "options": {"expires": 25}},
    "test connections": {"task": "idp.tasks.test_connections", "schedule": 3600, "options": {"expires": 3500}},
}

# --- people ------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "idp.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "idp.people.hashers.OwaspArgon2Hasher",
    "idp.people.hashers.ClientSecretHasher",
    "idp.people.imported_hashes.ImportedHasher",
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "idp.people.password_policy.ConnectionPolicy"}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "logout_app.browser.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = "user_id"
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_RATE_LIMITS = False  # one limiter for every path: ours, in the database
ACCOUNT_FORMS = {
    "change_password": "sessions_app.account.password_forms.ChangePasswordForm",
    "reauthenticate": "sessions_app.account.password_forms.ReauthenticateForm",
    "reset_password": "sessions_app.account.password_forms.ResetPasswordForm",
    "reset_password_from_key": "sessions_app.account.password_forms.ResetPasswordKeyForm",
    "user_token": "sessions_app.account.password_forms.UserTokenForm",
}
MFA_ADAPTER = "sessions_app.signin.factors.MFAAdapter"
MFA_FORMS = {
    "authenticate": "sessions_app.signin.factor_forms.CodeForm",
    "reauthenticate": "sessions_app.signin.factor_forms.ReauthenticateCodeForm",
    "authenticate_webauthn": "sessions_app.signin.factor_forms.SecurityKeyForm",
    "reauthenticate_webauthn": "sessions_app.signin.factor_forms.ReauthenticateSecurityKeyForm",
    "add_webauthn": "sessions_app.signin.factor_forms.AddSecurityKeyForm",
    "edit_webauthn": "sessions_app.signin.factor_forms.RenameSecurityKeyForm",
    "activate_totp": "sessions_app.signin.factor_forms.ActivateCodeForm",
}
PASSWORD_RESET_TIMEOUT = 3600
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Curfew"
vars().update(environ.Env.email_url_config(conf.read("CURFEW_EMAIL_URL")))
if conf.read("CURFEW_EMAIL_URL").startswith("consolemail:") and not HTTPS:
    EMAIL_BACKEND = "idp.operations.console_mail.EmailBackend"
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = conf.read("CURFEW_FROM_EMAIL")

# --- cookies and headers -------------------------------------------------------------------------------------------------
_PREFIX = "__Host-" if HTTPS else ""
SSO_COOKIE_NAME = f"{_PREFIX}curfew_sso"
SSO_COOKIE_SAMESITE: conf.SameSite = conf.read_samesite(production=HTTPS)
DEVICE_COOKIE_NAME = f"{_PREFIX}curfew_device"  # a browser that an account signed in from before
REMEMBERED_COOKIE_NAME = f"{_PREFIX}curfew_remembered"  # people whose second factor is not asked for here
UPSTREAM_COOKIE_NAME = f"{_PREFIX}curfew_upstream"  # binds a sign-in upstream to the browser that began it
LAST_CONNECTION_COOKIE_NAME = f"{_PREFIX}curfew_connection"  # what the login page puts first
SIGNED_OUT_COOKIE_NAME = f"{_PREFIX}curfew_signed_out"  # a moment ago: the login page goes nowhere by itself
MAIL_COOKIE_NAME = f"{_PREFIX}curfew_mail"  # the browser that asked for a mail by which it goes on
LINK_COOKIE_NAME = f"{_PREFIX}curfew_link"  # the secret of a mail's link, while its pages are open
LOGOUT_COOKIE_NAME = f"{_PREFIX}curfew_logout"  # binds a sign-out page to the browser that began it
BROWSER_STATE_COOKIE_NAME = f"{_PREFIX}curfew_browser_state"  # Session Management 1.0; scripts may read it
ASKED_LANGUAGE_COOKIE_NAME = f"{_PREFIX}curfew_asked_language"  # by ui_locales, for the way that began with it
CHOSEN_LANGUAGE_COOKIE_NAME = f"{_PREFIX}curfew_language"  # of the person who used this browser last
SESSION_COOKIE_NAME = f"{_PREFIX}curfew_flow"
SESSION_COOKIE_SAMESITE: conf.SameSite = "None" if HTTPS else "Lax"  # SAML answers arrive as cross-site POSTs
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 3600
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CSRF_COOKIE_NAME = f"{_PREFIX}curfew_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [ISSUER_ORIGIN]
CSRF_FAILURE_VIEW = "idp.views.stale_forms.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = False  # the reverse proxy's; a redirected POST breaks clients
HSTS = conf.read_hsts()
SECURE_HSTS_SECONDS = 31536000 if HTTPS and HSTS != "off" else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HSTS in ("subdomains", "preload")  # other services may live below the issuer's host
SECURE_HSTS_PRELOAD = HSTS == "preload"
SECURE_REFERRER_POLICY = "same-origin"  # with no-referrer browsers send "Origin: null" with our own forms
SECURE_CROSS_ORIGIN_OPENER_POLICY = None  # set per page: popups of SDKs need their opener
X_FRAME_OPTIONS = "DENY"
CSP_REPORTS = conf.read_csp_reports()
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "https:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- OAuth: django-oauth-toolkit beneath our own views (sessions_app/oauth/toolkit.py) --------------------------------------------
OAUTH2_PROVIDER_APPLICATION_MODEL = "idp.Application"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "sessions_app.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "sessions_app.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "sessions_app.IDToken"
OAUTH2_PROVIDER_GRANT_MODEL = "sessions_app.AuthorizationCode"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "sessions_app.DeviceGrant"
OAUTH2_PROVIDER: dict[str, object] = {
    "OAUTH2_VALIDATOR_CLASS": "sessions_app.oauth.toolkit.CurfewValidator",
    "CLIENT_SECRET_HASHER": "client_sha256",
    "OIDC_ENABLED": False,
    "PKCE_REQUIRED": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http"],
    "APPLICATION_ADMIN_CLASS": "logout_app.admin.applications.ApplicationAdmin",
    "ACCESS_TOKEN_ADMIN_CLASS": "sessions_app.admin.AccessTokenAdmin",
    "REFRESH_TOKEN_ADMIN_CLASS": "sessions_app.admin.RefreshTokenAdmin",
    "GRANT_ADMIN_CLASS": "sessions_app.admin.AuthorizationCodeAdmin",
    "ID_TOKEN_ADMIN_CLASS": "sessions_app.admin.IDTokenAdmin",
    **{
        f"COMPLIANT_BCP_RFC9700_{gate}": True
        for gate in (
            *("IMPLICIT_GRANT", "PASSWORD_GRANT", "PKCE_METHOD", "ACCESS_TOKEN_TRANSPORT", "AUTHZ_RESPONSE_ISS"),
            *("TOKEN_STORAGE", "REFRESH_TOKEN", "REDIRECT_URI_MATCHING", "PKCE_REQUIRED"),
        )
    },
}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["oauth2_provider.contrib.rest_framework.OAuth2Authentication"],
    "DEFAULT_PERMISSION_CLASSES": ["oauth2_provider.contrib.rest_framework.TokenHasScope"],
}
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for sub-domains and its preload are CURFEW_HSTS's: they bind hosts that are not ours
    "security.W021",
    "security.W004",  # HSTS that the reverse proxy sends; without CURFEW_HSTS=off idp.E023 asks for it
    "security.W008",  # TLS ends at the reverse proxy; redirecting a POST breaks clients
    "oauth2_provider.W008",  # http redirect URIs: for loopback, where native applications listen (RFC 8252 7.3)
]

# --- language, time, logs ------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]  # each in its own words
LOCALE_PATHS = [catalogues.compiled_folder(RESOURCES / "locale", DATA)]
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["idp.formats"]
LOG_LEVEL = conf.read("CURFEW_LOG_LEVEL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masking.mask_event,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso"),
            ],
        }
    },
    "handlers": {"stderr": {"class": "idp.operations.logs.StderrHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "django_structlog": {"level": "WARNING"},  # access logs are the reverse proxy's; failed requests are ours
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,  # first: most lines are below the level
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_CELERY_ENABLED = False
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # it would look the session up on every request
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
