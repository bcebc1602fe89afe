import os

from django.core.wsgi import get_wsgi_application

from idp import redis_health
from idp.role import Role, become

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
become(Role.WEB)
application = get_wsgi_application()
redis_health.warn_of_eviction()
