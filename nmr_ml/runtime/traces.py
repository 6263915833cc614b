"""Where an unexpected failure came from, without what it was about."""

from __future__ import annotations

import traceback


def places(error: BaseException) -> str:
    """Return the type and the places in the code of `error` and of its causes.

    Messages are left out: they may hold somebody's values.
    """
    lines = [f"{type(error).__module__}.{type(error).__qualname__}\n"]
    lines += traceback.format_tb(error.__traceback__)
    cause = error.__cause__ or error.__context__
    return "".join(lines) + (f"caused by {places(cause)}" if cause else "")
