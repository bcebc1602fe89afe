"""What the admin's start page tells."""

from django import template
from django.http import HttpRequest
from django.utils import timezone

from logout_app.admin.overview import StartPage, overview

register = template.Library()


@register.simple_tag
def start_page(request: HttpRequest) -> StartPage:
    return overview(request.user, timezone.now())
