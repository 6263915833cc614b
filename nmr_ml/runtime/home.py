"""Where state lives, and writes that are whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nmr_ml.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Iterator


def home() -> Path:
    """Return ``$NMR_HOME``, by default ``.nmr`` in the working directory; made on first write."""
    return Path(os.environ.get("NMR_HOME", ".nmr")).absolute()


@contextmanager
def writing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there once the block has succeeded."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` and move it there once the block has succeeded.

    An existing `path` is replaced only then.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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
