"""How kernels are compiled.

Both kinds release the interpreter's lock, and divide as numpy does: a division by zero gives an
infinity or NaN, and costs no check. numba keeps machine code by the file of a function and does not
see that another file changed, so only functions that Python itself calls are kept.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from numba import njit

_Function = TypeVar("_Function")


class _Compiler(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


#: For functions that only kernels call: compiled with each of them.
inner: _Compiler = njit(nogil=True, error_model="numpy", forceinline=True)
#: For functions that Python calls: the machine code is kept on disk.
kept: _Compiler = njit(cache=True, nogil=True, error_model="numpy")
#: The same for sums whose terms may be taken in any order, four at a time; NaN stays NaN.
summed: _Compiler = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"}
)
