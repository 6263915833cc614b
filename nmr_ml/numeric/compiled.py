"""How kernels are compiled, and where their machine code is kept.

All kinds release the interpreter's lock, and divide as numpy does: a division by zero gives an
infinity or NaN, and costs no check.

numba stamps the machine code of a function with the time of the function's own file and does not
see that another file changed, whose constants or inlined functions are in that code. So it is kept
in a folder named by everything that it can be made of: the text of every file that holds kernels or
is imported by one, numba's version and the processor.

Nor does numba expect two processes that compile at once: each numbers the files of a function's
signatures by an index that it reads, so that one could later get the machine code of the other. So
the folder has a lock.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import contextmanager
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import llvmlite.binding
import numba
from numba import njit
from numba.core import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_Function = TypeVar("_Function")


class _Compiler(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


#: The packages whose kernels are kept; they are installed side by side.
PACKAGES = ("nmr_ml", "training", "serving")
#: Folders of machine code that stay beside the newest: other processes may still run older code.
OLDER_FOLDERS = 2
_FOLDER = "kernels-"
_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t].*\n|\n)*", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*(?:from ([\w.]+) )?import (\([^)]*\)|[^\n#]*)", re.MULTILINE)


def kernel_sources(root: Path) -> list[Path]:
    """Return the files under `root` that machine code can depend on, sorted.

    Those are the files of `PACKAGES` that compile something with this module, and all that they
    import, directly or not, other than for type checkers.
    """
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for package in PACKAGES
        for file in (root / package).rglob("*.py")
    }
    imports = {name: _imported(file.read_text(encoding="utf-8")) for name, file in files.items()}
    waiting = [name for name, imported in imports.items() if __name__ in imported]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imports[name] & files.keys())
    return sorted(files[name] for name in found)


def _imported(text: str) -> set[str]:
    """Return the dotted names that the module `text` may import."""
    named = set()
    for package, listed in _IMPORT.findall(_TYPES_ONLY.sub("", text)):
        names = [part.split(" as ")[0].strip() for part in listed.strip("()\n ").split(",")]
        named |= {f"{package}.{name}" for name in names} | {package} if package else set(names)
    return named


def sources_hash(files: Iterable[Path], machine: Mapping[str, str]) -> str:
    """Return what names a folder of machine code: a hash of sources and of what compiles them."""
    total = sha256(repr(sorted(machine.items())).encode())
    for file in files:
        total.update(sha256(file.read_bytes()).digest())
    return total.hexdigest()[:20]


@cache
def cache_folder() -> Path | None:
    """Return the folder of the machine code, made if need be; None where none can be written.

    It lies in ``NUMBA_CACHE_DIR`` where that is set, else beside the package, else in the user's
    cache.
    """
    root = Path(__file__).parents[2]
    machine = {
        "numba": numba.__version__,
        "processor": llvmlite.binding.get_host_cpu_name(),
        "instructions": llvmlite.binding.get_host_cpu_features().flatten(),
    }
    name = _FOLDER + sources_hash(kernel_sources(root), machine)
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    beside, of_user = root / PACKAGES[0] / "__pycache__", user / PACKAGES[0]
    for place in [Path(config.CACHE_DIR)] if config.CACHE_DIR else [beside, of_user]:
        folder = place / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            _remove_old(place)
            return folder
    return None


def _remove_old(place: Path) -> None:
    folders = sorted(place.glob(f"{_FOLDER}*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[: -1 - OLDER_FOLDERS]:
        shutil.rmtree(folder, ignore_errors=True)


def _keeping(*, fastmath: bool | set[str] = False) -> _Compiler:
    """Return a compiler that keeps machine code in `cache_folder`."""

    def compiled(function: _Function, /) -> _Function:
        folder = cache_folder()
        compiler = njit(
            cache=folder is not None, nogil=True, error_model="numpy", fastmath=fastmath
        )
        # numba looks at the setting while it decorates; kernels of other packages keep theirs.
        others, config.CACHE_DIR = config.CACHE_DIR, str(folder or "")
        try:
            function = compiler(function)
        finally:
            config.CACHE_DIR = others
        if folder is not None:
            _guard(function, folder / "lock")
        return function

    return compiled


def _guard(dispatcher: Any, lock: Path) -> None:  # noqa: ANN401  numba's, which has no types
    """Let one process at a time save machine code of `dispatcher`, and none load it meanwhile."""
    kept_code = dispatcher._cache  # noqa: SLF001  numba has no public way to it
    for name, shared in (("load_overload", True), ("save_overload", False)):
        setattr(kept_code, name, _locking(getattr(kept_code, name), lock, shared=shared))


def _locking(work: Callable[..., Any], lock: Path, *, shared: bool) -> Callable[..., Any]:
    @wraps(work)
    def locked(*arguments: Any) -> Any:  # noqa: ANN401  numba's own
        with _locked(lock, shared=shared):
            return work(*arguments)

    return locked


@contextmanager
def _locked(lock: Path, *, shared: bool) -> Iterator[None]:
    """Hold `lock`; where the system or the disk has no locks, go on without."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = None
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except OSError:
        pass
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


#: For functions that only kernels call: compiled with each of them.
inner: _Compiler = njit(nogil=True, error_model="numpy", forceinline=True)
#: For functions that Python calls: the machine code is kept on disk.
kept: _Compiler = _keeping()
#: The same for sums whose terms may be taken in any order, four at a time; NaN stays NaN.
summed: _Compiler = _keeping(fastmath={"reassoc", "contract"})
