"""What a person or a pipe gets to see: lines, JSON documents and progress."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import RenderableType


def say(text: str) -> None:
    """Write one line to standard output."""
    typer.echo(text)


def complain(text: str) -> None:
    """Write one line to standard error."""
    typer.echo(text, err=True)


def emit(document: Mapping[str, Any]) -> None:
    """Write `document` to standard output as JSON; ValueError for NaN and infinity."""
    typer.echo(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2))


def show(renderable: RenderableType) -> None:
    """Write a Rich table or text to standard output; plain strings are never read as markup."""
    from rich.console import Console

    Console(markup=False, highlight=False, emoji=False).print(renderable)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is told how many of how many steps are done.

    It draws a bar on standard error where that is a terminal, and else nothing.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what is being done now.

    It shows a spinner on standard error where that is a terminal, and else nothing.
    """
    if not sys.stderr.isatty():
        yield lambda _step: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)) as spinner:
        yield lambda step: spinner.update(Text(f"{what}: {step}"))
