"""Mistakes of a peer, in the protocol's own words. `description` may leave the house, `detail` is for our log only."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class ProtocolError(Exception):
    """One registered error code with its HTTP status. Raised in rules and acts; views turn it into JSON, a page or a redirect."""

    error = "invalid_request"
    status = 400

    def __init__(
        self,
        description: str,
        *,
        detail: str = "",
        error: str = "",
        status: int = 0,
        values: Mapping[str, object] | None = None,
    ) -> None:
        """`values` are put into the places of `description` that they name: %(name)s."""
        self._template, self._values = description, values
        self.description = description % values if values else description
        super().__init__(self.description)
        self.detail = detail
        self.error = error or self.error
        self.status = status or self.status
        self.headers: Mapping[str, str] = {}  # that the answer carries, where it is JSON

    def sentence(self, translate: Callable[[str], str]) -> str:
        """The description for people, in their language if anybody translated it; programs and the log get the English one."""
        said = translate(self._template)
        return said % self._values if self._values else said


class InvalidRequest(ProtocolError):
    error = "invalid_request"


class NotRegistered(InvalidRequest):
    """An address that is none of the application's own. Its administrators are shown what came (`idp.applications.refusals`)."""

    def __init__(self, description: str, *, client_id: str, parameter: str, uri: str) -> None:
        super().__init__(description)
        self.client_id, self.parameter, self.uri = client_id, parameter, uri


class InvalidClient(ProtocolError):
    error = "invalid_client"
    status = 401


class InvalidGrant(ProtocolError):
    error = "invalid_grant"


class InvalidScope(ProtocolError):
    error = "invalid_scope"


class InvalidTarget(ProtocolError):
    error = "invalid_target"


class UnauthorizedClient(ProtocolError):
    error = "unauthorized_client"


class UnsupportedGrantType(ProtocolError):
    error = "unsupported_grant_type"


class UnsupportedResponseType(ProtocolError):
    error = "unsupported_response_type"


class AccessDenied(ProtocolError):
    error = "access_denied"
    status = 403


class LoginRequired(ProtocolError):
    error = "login_required"


class ConsentRequired(ProtocolError):
    error = "consent_required"


class InteractionRequired(ProtocolError):
    error = "interaction_required"


class UnmetAuthenticationRequirements(ProtocolError):
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0."""

    error = "unmet_authentication_requirements"


class TemporarilyUnavailable(ProtocolError):
    error = "temporarily_unavailable"
    status = 503


class TooManyRequests(ProtocolError):
    """`retry_after`: seconds; 0 says nothing."""

    error = "access_denied"
    status = 429

    def __init__(self, description: str, *, retry_after: int = 0) -> None:
        super().__init__(description)
        self.retry_after = retry_after


class InvalidToken(ProtocolError):
    error = "invalid_token"
    status = 401
