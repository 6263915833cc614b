"""What is wrong with a request, as an error of the command line and as problem+json (RFC 9457)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from nmr_ml.errors import DataError, NmrError, OutsideError

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIA_TYPE = "application/problem+json"
#: More than these help nobody; `detail` says how many there are.
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a request: where (RFC 6901), a stable code and a sentence."""

    pointer: str
    code: str
    detail: str


class RequestError(DataError):
    """A request that cannot be answered: the HTTP status, and each fault with its place."""

    def __init__(self, status: int, code: str, message: str, faults: Sequence[Fault] = ()) -> None:
        first = "; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults[:3])
        super().__init__(code, message, first or _REMEDIES.get(status, "Correct the request."))
        self.status = status
        self.faults = tuple(faults)


_REMEDIES = {
    401: "Send Authorization: Bearer with the server's token.",
    413: "Send fewer rows, or let the server accept more with NMR_MAX_BODY_BYTES.",
    429: "Try again in a moment.",
    503: "Look at the server's log, or try again later.",
}


def invalid(faults: Sequence[Fault]) -> RequestError:
    """Return the error for a request whose fields or values are wrong."""
    things = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return RequestError(422, "invalid_request", f"The request has {things}.", faults)


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer to `parts`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def status_of(error: NmrError) -> int:
    """Return the HTTP status that says what `error` says."""
    if isinstance(error, RequestError):
        return error.status
    return 503 if isinstance(error, OutsideError) else 422


def document(status: int, code: str, detail: str, faults: Sequence[Fault] = ()) -> dict[str, Any]:
    """Return the body of a problem+json answer; at most `MOST_FAULTS` of the faults are listed."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [asdict(fault) for fault in faults[:MOST_FAULTS]],
    }
