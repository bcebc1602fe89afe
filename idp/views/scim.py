"""`/scim/v2/connections/{id or name}`: SCIM 2.0 for one connection.

Where it is spoken a process loads the library for it, which takes a second; workers, commands and most web servers do without.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from idp.http.middleware import for_programs


@for_programs
@csrf_exempt
@login_not_required
def scim(request: HttpRequest, connection: str, rest: str = "") -> HttpResponse:
    from idp.scim import endpoint

    return endpoint.answer(request, connection, rest)
