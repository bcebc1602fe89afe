from celery import shared_task
from django.utils import timezone

from idp import keys


@shared_task
def rotate_signing_keys() -> None:
    keys.rotate(timezone.now())
