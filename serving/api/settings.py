"""What the server takes from its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from nmr_ml.errors import UsageError

#: Names the folder of the model bundle that a server process loads.
BUNDLE_VARIABLE = "NMR_SERVE_BUNDLE"
TOKEN_VARIABLE = "NMR_API_TOKEN"  # noqa: S105  the variable's name, not a token
BODY_VARIABLE = "NMR_MAX_BODY_BYTES"
FLIGHT_VARIABLE = "NMR_MAX_IN_FLIGHT"
#: Two years of one athlete with everything measured are about 1 MiB.
_MAX_BODY_BYTES = 2 * 2**20
_MAX_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Who may ask, and how much.

    Parameters
    ----------
    token : str or None
        The bearer token that ``/v1/*`` needs; None: none, and only the loopback address is served.
    max_body_bytes : int
        The largest request that is read.
    max_in_flight : int
        Requests read or computed at one time; more are refused with 429.
    """

    token: str | None = None
    max_body_bytes: int = _MAX_BODY_BYTES
    max_in_flight: int = _MAX_IN_FLIGHT

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings.

        Raises
        ------
        UsageError
            ``setting_invalid`` where a limit is no whole number above 0.
        """
        return cls(
            token=os.environ.get(TOKEN_VARIABLE) or None,
            max_body_bytes=_whole(BODY_VARIABLE, _MAX_BODY_BYTES),
            max_in_flight=_whole(FLIGHT_VARIABLE, _MAX_IN_FLIGHT),
        )


def _whole(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(
            "setting_invalid",
            f"{variable} is {text!r}, expected a whole number above 0.",
            "Correct or unset it.",
        )
    return int(text)
