"""What a refused request is answered: problem details (RFC 9457), with the words that receipts and errors use."""

from typing import Any, ClassVar, Final

from starlette.responses import JSONResponse

from healthsync_mqtt.errors import HealthSyncError

MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: "The request cannot be read",
    401: "Who is asking is not known",
    403: "This may not be done",
    404: "There is nothing here",
    405: "Not by this method",
    406: "Not in this form",
    408: "The request took too long",
    409: "There is another one",
    410: "What this stands for is gone",
    413: "The request is too large",
    415: "Not a body of this kind",
    422: "Nothing of it was taken",
    429: "Too many requests",
    431: "The head of the request is too large",
    500: "This failed here",
    501: "This is not done here",
    503: "Not at the moment",
}


class HttpError(HealthSyncError):
    """A request is refused with this status. ``extra`` are further members of the problem."""

    reason: ClassVar[str] = "http"

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        hint: str = "",
        retry_after_s: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.word = reason
        self.retry_after_s = retry_after_s
        self.extra = extra or {}


def not_found() -> HttpError:
    """The same for what does not exist and for what is somebody else's."""
    return HttpError(404, "not_found", "there is nothing here that is yours", hint="see the paths in /v1/openapi.json")


def kept_at_home() -> HttpError:
    """What is a file of one machine of the installation is asked at another one."""
    return HttpError(
        503,
        "unavailable",
        "this is kept where the installation is at home, and this gateway is elsewhere",
        hint="ask the gateway on the data directory where registry.home is true",
    )


def problem(error: HttpError, request_id: str) -> JSONResponse:
    """The answer to a request that is refused."""
    body: dict[str, Any] = {
        "type": f"urn:healthsync:problem:{error.word}",
        "title": _TITLES.get(error.status, "Refused"),
        "status": error.status,
        "detail": str(error),
        "reason": error.word,
        "request_id": request_id,
    }
    if error.hint:
        body["hint"] = error.hint
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s + 0.5)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="healthsync", Basic realm="healthsync"'
    return JSONResponse(body | error.extra, error.status, headers, MEDIA_TYPE)
