"""Public names of a package, imported when they are first asked for.

So a package can show at one place what it offers, and importing one of its modules loads no other.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package (PEP 562).

    What the package imports under ``if TYPE_CHECKING:`` is what it offers, so that type checkers
    and the running program cannot come to know different names.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    """

    def get(name: str) -> Any:  # noqa: ANN401  whatever the package offers
        module = None if name.startswith("__") else _offered(package).get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    def names() -> list[str]:
        return sorted(sys.modules[package].__dict__.keys() | _offered(package).keys())

    return get, names


@cache
def _offered(package: str) -> dict[str, str]:
    """Return the module of each name that `package` imports for type checkers."""
    import ast  # only where a name is asked for

    tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    lines = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
    return {each.name: str(line.module) for line in lines for each in line.names}
