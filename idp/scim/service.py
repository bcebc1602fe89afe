"""The protocol: what we announce, what of peers' deviations we take, and who may do what. No store, no HTTP."""

from __future__ import annotations

import functools
from typing import Any, Union

import structlog
from django.conf import settings
from django.db import IntegrityError
from pydantic import ValidationError
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    BulkRequest,
    BulkResponse,
    ChangePassword,
    ETag,
    External,
    Filter,
    ForbiddenException,
    ListResponse,
    Pagination,
    Patch,
    PatchOp,
    Reference,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    ScimPolicy,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
    UniquenessException,
)
from scim2_models.context import Context
from scim2_models.messages.error import Error
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService, scim_exception_of
from scim2_server.utils import parametrize

from idp.http.serving.limits import LONGEST_BODY
from idp.scim import bodies, dialects
from idp.scim.context import NOUNS
from idp.scim.filters import check_size
from idp.scim.resources import EnterpriseUser, Group, User, UserModel

log = structlog.get_logger(__name__)
MOST_RESULTS = 1000
PAGE = 100
MOST_OPERATIONS = 1000
CURSOR_SECONDS = 3600
VERBS = {
    Operation.create: "post",
    Operation.query: "get",
    Operation.search: "get",
    Operation.search_with_body: "get",
    Operation.replace: "put",
    Operation.patch: "patch",
    Operation.delete: "delete",
}
# Entra sends attributes of its own, removes members by a list of them, and writes into addresses that are not there yet.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


def _config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        documentation_uri=None,
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=MOST_OPERATIONS, max_payload_size=LONGEST_BODY),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=PAGE,
            max_page_size=MOST_RESULTS,
            cursor_timeout=CURSOR_SECONDS,
        ),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token of the connection, or an access token with the scope scim.",
                spec_uri=Reference[External]("https://www.rfc-editor.org/rfc/rfc6750"),
                primary=True,
            )
        ],
    )


class Service(ScimService):
    """`request.subject` is a `Writer`."""

    def hold_messages(self) -> None:
        """Makes the classes of what is asked and answered: pydantic forgets those that nobody holds, so that nearly each
        request would make its own anew, for milliseconds.
        """
        each = self.get_models()
        every: Any = Union[tuple(each)]  # noqa: UP007  of as many as there are
        one = [
            parametrize(message, model) for message in (ResponseParameters, PatchOp, SearchRequest) for model in each
        ]
        all_of_them = [
            parametrize(message, every) for message in (SearchRequest, ListResponse, BulkRequest, BulkResponse)
        ]
        self._messages = [*one, *all_of_them, ListResponse[ResourceType], ListResponse[Schema]]

    def authorize(self, request: ScimRequest, target: Target, resource_type: ResourceType) -> None:
        needed = f"{VERBS[target.operation]}:{NOUNS[str(resource_type.name)]}"
        if needed not in request.subject.scopes:
            raise ForbiddenException(detail=f"The token does not have the scope {needed}.")

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> Any:
        if isinstance(payload, dict):
            payload = {name: _readable(name, value) for name, value in payload.items()}
        return super().read_search(resource_types, payload)

    def read_body(self, model: type[Any], body: bytes, content_type: str | None, scim_ctx: Context) -> Any:
        message = bodies.readable(self.decode_body(body, content_type))
        try:
            return model.model_validate(message, scim_ctx=scim_ctx)
        except ValidationError as error:
            raise scim_exception_of(error) from error

    def patch_response(self, base_url: str, resource: Resource[Any], response_parameters: Any) -> ScimResponse:
        """With the resource, as Okta reads it."""
        published = self.publish(base_url, resource)
        return self.resource_response(published, Context.RESOURCE_REPLACEMENT_RESPONSE, response_parameters)

    def bulk_failure(self, outcome: dict[str, Any], exception: Exception) -> dict[str, Any]:
        return super().bulk_failure(outcome, understood(exception))

    @staticmethod
    def error_of(exception: Exception) -> Error:
        if not isinstance(exception, SCIMException):
            log.error("scim.failed", exc_info=exception)
        return ScimService.error_of(exception)


def _readable(name: str, value: Any) -> Any:
    if name.lower() != "filter" or not isinstance(value, str):
        return value
    check_size(value)
    return dialects.in_grammar(value)


def understood(exception: Exception) -> Exception:
    """What the database says of two writers at once, in the protocol's words."""
    if isinstance(exception, IntegrityError):
        return UniquenessException(detail="Somebody wrote the same at this moment. Try again.")
    return exception


@functools.cache
def service() -> Service:
    provider = ScimProvider(
        models=[User, EnterpriseUser, Group],
        resource_types=[ResourceType.from_resource(UserModel), ResourceType.from_resource(Group)],
        config=_config(),
        policy=POLICY,
    )
    speaker = Service(provider, secret=f"scim cursors {settings.SECRET_KEY}")
    speaker.hold_messages()
    return speaker
