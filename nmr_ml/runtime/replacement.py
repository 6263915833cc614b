"""How a written folder takes the place of another, so that a kill leaves one of them whole.

On Linux both names are exchanged in one step. Where the system or the disk cannot do that, the old
folder steps aside for the moment between two renames; if its writer is killed just then, whoever
looks next puts it back (`restored`). What is given a name is on the disk before it has it.

A writer holds a lock on its hidden folder. The kernel gives it up when the process ends, in any
way, so a folder that can be locked has no writer. The number of a process would not tell: another
process may have it by then, or one in another container that writes to the same disk.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Ends of the names of folders that are being written or removed, and of whole ones set aside.
PARTIAL, ASIDE = ".nmr-partial", ".nmr-aside"
#: A folder so old has its writer's lock on it, if it has a writer.
SETTLED_S = 60.0
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: What a disk answers that keeps directories by itself.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden new folder beside `path`; what has its name at the end is removed."""
    restored(path)
    _remove_abandoned(path)
    made = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, made, ignore_errors=True)
        stack.enter_context(_locked(Path(made)))
        yield Path(made)


def take_place(new: Path, path: Path) -> None:
    """Move the folder `new` to `path`; what was there gets the name of `new`."""
    for entry in (*new.rglob("*"), new):
        sync(entry)
    try:
        new.rename(path)  # nothing is there, or an empty folder
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        if not _exchanged(new, path):
            _rename_twice(new, path)
    sync(path.parent)


def restored(path: Path) -> Path:
    """Return `path`, put back first where its last writer was killed between two renames."""
    if not path.exists():
        for aside in _beside(path, ASIDE):
            # Waits for a writer that is between its renames.
            with suppress(OSError), _locked(aside):
                if not path.exists():
                    aside.rename(path)
    return path


def sync(path: Path) -> None:
    """Return once the file or folder `path` is on the disk, not merely in the system's memory."""
    if sys.platform == "win32":  # it opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return whether that was done."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return renameat2 is not None and not renameat2(
        _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE
    )


def _rename_twice(new: Path, path: Path) -> None:
    """Do the same in steps, after each of which one of both folders is whole and can be found."""
    aside = new.with_suffix(ASIDE)
    with _locked(path):
        path.rename(aside)
        new.rename(path)
        sync(path.parent)
        aside.rename(new)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of `path` have left."""
    # Where nothing is at `path`, what was set aside is all there is.
    for folder in _beside(path, PARTIAL) + (_beside(path, ASIDE) if path.exists() else []):
        with suppress(OSError):
            settled = folder.stat().st_mtime < time.time() - SETTLED_S
            if settled and not _has_writer(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _beside(path: Path, suffix: str) -> list[Path]:
    """Return the hidden folders with this end beside `path` that are its own."""
    own = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}{re.escape(suffix)}")
    with suppress(OSError):
        return sorted(entry for entry in path.parent.iterdir() if own.fullmatch(entry.name))
    return []


def _has_writer(folder: Path) -> bool:
    try:
        with _locked(folder, wait=False):
            return False
    except OSError:
        return True


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of `folder`; who waits does without it on a disk that has no locks."""
    if sys.platform == "win32":  # it has none
        if not wait:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if not wait:
                raise
        yield
    finally:
        os.close(handle)
