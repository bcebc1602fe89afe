"""POST /oauth/introspect (RFC 7662), for clients that can keep a secret."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from idp.protocol.errors import InvalidClient
from sessions_app.oauth import introspection
from sessions_app.views.oauth.endpoint import authenticate_client, body_params, program_endpoint


@program_endpoint
def introspect(request: HttpRequest) -> HttpResponse:
    params, at = body_params(request), timezone.now()
    client = authenticate_client(request, params, at)
    if client.is_public:
        raise InvalidClient("Only clients that authenticate may introspect.")
    return JsonResponse(introspection.introspect(params.require("token"), client, at))
