"""POST /oauth/revoke (RFC 7009)."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from sessions_app.oauth import introspection
from sessions_app.views.oauth.endpoint import authenticate_client, body_params, program_endpoint


@program_endpoint
def revoke(request: HttpRequest) -> HttpResponse:
    """200 for every token, known or not (section 2.2), as JSON: oidc-client-ts refuses any other type."""
    params, at = body_params(request), timezone.now()
    client = authenticate_client(request, params, at)
    introspection.revoke(params.require("token"), client, at)
    return JsonResponse({})
