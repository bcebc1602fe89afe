"""The worker's process around the drain: Celery's transports, pool and queue, as a process can trust them. No delivery is here."""
