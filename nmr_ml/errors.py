"""The errors a user may see: what happened, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class NmrError(Exception):
    """A failure with a stable code, a message and a remedy.

    Parameters
    ----------
    code : str
        Stable, lower-case, for scripts: ``cohort_not_found``.
    message : str
        Fact, value and expectation in one sentence, with its full stop.
    remedy : str
        What the reader can do, in one sentence, with its full stop.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.code = code
        self.message = message
        self.remedy = remedy

    def as_dict(self) -> dict[str, dict[str, str]]:
        """Return the JSON form that ``--json`` prints on failure."""
        return {"error": {"code": self.code, "message": self.message, "remedy": self.remedy}}


class DataError(NmrError):
    """The data, or the promotion gate, said no (exit code 1)."""

    exit_code = 1


class UsageError(NmrError):
    """The call itself is wrong: an option, a value, a configuration key (exit code 2)."""

    exit_code = 2


class OutsideError(NmrError):
    """Something outside failed: registry, disk, network, port (exit code 3)."""

    exit_code = 3
