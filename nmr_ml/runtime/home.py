"""Where state lives, and writes that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nmr_ml.errors import OutsideError
from nmr_ml.runtime.replacement import new_folder, sync, take_place

if TYPE_CHECKING:
    from collections.abc import Iterator


def home() -> Path:
    """Return ``$NMR_HOME``, by default ``.nmr`` in the working directory; made on first write."""
    return Path(os.environ.get("NMR_HOME", ".nmr")).absolute()


@contextmanager
def writing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there once the block has succeeded.

    What was written is on the disk before it replaces an existing `path`.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` and move it there once the block has succeeded.

    An existing `path` is replaced only then, and a reader finds one of both whole at any moment,
    also after a kill or a loss of power (`nmr_ml.runtime.replacement`).
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(path) as temporary:
            yield temporary
            temporary.chmod(0o755)
            take_place(temporary, path)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutsideError(
            "cannot_write",
            f"{path} cannot be written: {error.strerror or error}.",
            "Check the folder, its permissions and the free space.",
        ) from error
