"""The `nmr` command: finds its commands, and turns every failure into one line and an exit code."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import entry_points, version
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from nmr_ml.errors import NmrError, OutsideError, UsageError
from nmr_ml.runtime import console, telemetry, traces
from nmr_ml.runtime.home import home, writing_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

GROUP = "nmr.commands"
#: As a shell reports a process that SIGINT or SIGPIPE ended: 128 + the signal's number.
INTERRUPTED, PIPE_CLOSED = 130, 141


class StoppedError(NmrError):
    """The user or the system asked the command to stop."""

    exit_code = INTERRUPTED


def main() -> None:
    """Run the command line given in ``sys.argv`` and exit with its code."""
    telemetry.switch_off()
    stop_on_sigterm()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    return guarded(lambda: _invoke(list(arguments)), arguments)


def guarded(work: Callable[[], int], arguments: Sequence[str]) -> int:
    """Return the exit code of `work`; its failures are reported as `arguments` ask, not raised."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone; whatever is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except NmrError as error:
        return _report(error, arguments)
    except typer.TyperException as error:
        return _report(_usage(error, arguments), arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _report(_interrupted(), arguments)
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback reaches a user
        return _report(_internal(error), arguments)
    return code


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(_application(arguments))
    try:
        with command.make_context("nmr", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def _application(arguments: Sequence[str]) -> typer.Typer:
    """Build the application with the one command that is called, or with all for the help."""
    # Plain help: it needs no Rich, and Rich would read `[code]` in it as markup.
    application = typer.Typer(add_completion=False, rich_markup_mode=None)
    application.callback()(_frame)
    known = {point.name: point for point in entry_points(group=GROUP)}
    called = next((word for word in arguments if not word.startswith("-")), "")
    for name, point in known.items():
        if called in {name, ""} or called not in known:
            function = point.load()
            application.command(name, help=_help(function.__doc__ or ""))(function)
    return application


def _help(docstring: str) -> str:
    """Return what a docstring says before its first numpydoc section."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(takewhile(lambda paragraph: "\n---" not in paragraph, paragraphs))


def _print_version(*, asked: bool) -> None:
    if asked:
        console.say(f"nmr {version('nmr_ml')}")
        raise typer.Exit


def _frame(
    *,
    _show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Predict how many hours neuromuscular recovery takes, how sure that is, and why.

    Estimates training readiness for healthy athletes. Not a medical device; it does not clear
    anybody to play.
    """


def _report(error: NmrError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        console.emit(error.as_dict())
    console.complain(f"error[{error.code}]: {error.message} {error.remedy}")
    return error.exit_code


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> UsageError:
    message = " ".join(error.format_message().split()).removesuffix(".")
    known = {point.name for point in entry_points(group=GROUP)}
    called = next((f"nmr {word}" for word in arguments if word in known), "nmr")
    return UsageError("usage", f"{message}.", f"See `{called} --help`.")


def _interrupted() -> StoppedError:
    return StoppedError(
        "interrupted",
        "The command was stopped before it was done.",
        "Run the same command again; what is complete is kept.",
    )


def _internal(error: Exception) -> OutsideError:
    """Describe an unexpected failure by its type; its message may hold somebody's values."""
    kind = type(error).__name__
    path = home() / "logs" / f"error-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.txt"
    try:
        with writing_file(path) as temporary:
            temporary.write_text(traces.places(error), encoding="utf-8")
    except OutsideError:
        return OutsideError(
            "internal",
            f"An unexpected {kind} stopped the command, and {path} cannot be written.",
            "Run the command again with $NMR_HOME set to a writable folder, and report the file.",
        )
    return OutsideError(
        "internal",
        f"An unexpected {kind} stopped the command; {path} says where.",
        "Report it with that file, which holds places in the code and no data.",
    )


def stop_on_sigterm() -> None:
    """Let SIGTERM end the process as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
