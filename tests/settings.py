"""The product's settings with the few lines that tests change."""

import structlog

from idp.settings import *  # noqa: F403
from idp.settings import DATA, DATABASES, LOGGING, PASSWORD_HASHERS, STATIC_ROOT, STORAGES

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
DATABASES["default"]["CONN_MAX_AGE"] = 0
if DATABASES["default"]["ENGINE"] == "idp.database.sqlite":
    # A file, as in the product: threads that share one in-memory database get "table is locked" instead of waiting.
    DATA.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / "test.sqlite3")}
PASSWORD_HASHERS = ["tests.support.hashers.QuickArgon2Hasher", *PASSWORD_HASHERS[1:]]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns without it
LOGGING["handlers"]["stderr"]["class"] = "logging.StreamHandler"  # written, and captured, before the test ends
# A logger that is kept from its first use keeps its processors, too, whatever captures lines later.
structlog.configure(cache_logger_on_first_use=False)
