from celery import shared_task
from django.utils import timezone

from idp.connections import health, silence
from idp.crypto import rotation
from idp.processes.places import long_task
from idp.saml.application import refreshing


@shared_task
def rotate_signing_keys() -> None:
    rotation.rotate(timezone.now())


@long_task(waits=False)
def watch_upstreams() -> None:
    silence.watch(at=timezone.now())


@long_task(waits=True)
def test_connections() -> None:
    health.examine_due(at=timezone.now())


@long_task(waits=True)
def refresh_saml_metadata() -> None:
    refreshing.refresh(timezone.now())
