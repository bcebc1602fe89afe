import os

from django.core.wsgi import get_wsgi_application

from idp.operations.tracing import switch as tracing
from idp.processes.role import ProcessRole, become
from idp.redis import health as redis_health

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
become(ProcessRole.WEB)
application = get_wsgi_application()
tracing.start()
redis_health.warn_of_eviction()
