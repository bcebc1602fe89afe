"""Refusals in Auth0's form: `{statusCode, error, message, errorCode}`. Whatever happens becomes one of these."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from rest_framework import exceptions
from rest_framework.response import Response

from idp.database.outage import OUTAGES
from idp.protocol.errors import ProtocolError, TooManyRequests

log = structlog.get_logger(__name__)
RETRY_SOON = 5  # seconds
CHALLENGE = 'Bearer realm="Management API"'


class ApiError(Exception):
    """`code` is Auth0's name for it, `errorCode` on the wire; some refusals have none."""

    def __init__(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


def not_found(what: str) -> ApiError:
    """`what`: Auth0's word for the kind of thing, like `client` or `resource_server`."""
    words = {"user": "The user does not exist."}.get(what, f"The {what.replace('_', ' ')} does not exist")
    return ApiError(404, words, f"inexistent_{what}")


def invalid_body(message: str) -> ApiError:
    return ApiError(400, f"Payload validation error: {message}", "invalid_body")


def invalid_query(message: str) -> ApiError:
    return ApiError(400, f"Query validation error: {message}", "invalid_query_string")


def unauthorized(message: str) -> ApiError:
    challenge = CHALLENGE if message == MISSING else f'{CHALLENGE}, error="invalid_token"'
    return ApiError(401, message, "", {"WWW-Authenticate": challenge})


MISSING = "Missing authentication"
INVALID = "Invalid token"


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """For Django REST framework's seam. What nobody expected is told by its request id only; the log has the rest."""
    refused = _understood(error)
    body: dict[str, Any] = {
        "statusCode": refused.status,
        "error": HTTPStatus(refused.status).phrase,
        "message": refused.message,
    }
    if refused.code:
        body["errorCode"] = refused.code
    if refused.status == 500:
        log.error("api.failed", exc_info=error)
        body["requestId"] = structlog.contextvars.get_contextvars().get("request_id", "")
    return Response(body, status=refused.status, headers=refused.headers)


def _understood(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case TooManyRequests():
            wait = str(error.retry_after or 1)
            return ApiError(429, error.description, "too_many_requests", {"Retry-After": wait})
        case ProtocolError():
            return ApiError(error.status, error.description, error.error, dict(error.headers))
        case SuspiciousOperation():  # too many parameters
            return ApiError(400, "The request cannot be read")
        case exceptions.APIException():
            return ApiError(error.status_code, str(error.detail))
    if isinstance(error, OUTAGES):
        message = "The database does not answer at the moment. Please try again."
        return ApiError(503, message, "temporarily_unavailable", {"Retry-After": str(RETRY_SOON)})
    return ApiError(500, "Something went wrong on our side. Nothing was changed.")
