import os

from django.core.wsgi import get_wsgi_application

from idp.processes.role import ProcessRole, become
from idp.redis import health as redis_health

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
become(ProcessRole.WEB)
application = get_wsgi_application()
redis_health.warn_of_eviction()
