"""What a database that is away, full or read-only says. Then nothing was done, and it can be tried again."""

from django.db import InterfaceError, InternalError, OperationalError

AWAY = (OperationalError, InterfaceError, InternalError)  # PostgreSQL's "read-only" is an InternalError
