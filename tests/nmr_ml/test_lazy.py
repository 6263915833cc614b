"""What packages show: names that are there, and that cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("nmr_ml", "training", "serving")
    for path in (ROOT / package).rglob("__init__.py")
)
#: numpy is what every other library here imports, so without it none of them has been.
HEAVY = ("numpy", "pydantic", "rich", "typer", "yaml", "mlflow", "bentoml")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bentoml's, at its import
@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = import_module(package)
    assert module.__all__
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert not name.startswith("_")
        assert getattr(module, name) is getattr(module, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_hides_a_module(package: str) -> None:
    module = import_module(package)
    modules = {each.name for each in iter_modules(module.__path__)}
    assert not modules & set(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_says_in_a_sentence_what_it_is_for(package: str) -> None:
    text = str(import_module(package).__doc__)
    assert len(text.splitlines()) == 1
    assert text.endswith(".")


def test_packages_load_nothing_heavy() -> None:
    code = f"import sys, {', '.join(PACKAGES)}; print(*sorted(set({HEAVY}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_unknown_name_is_no_attribute() -> None:
    module = import_module("nmr_ml.bundle")
    with pytest.raises(AttributeError, match=r"module 'nmr_ml\.bundle' has no attribute 'nope'"):
        _ = module.nope


def test_star_import_brings_what_is_shown() -> None:
    names: dict[str, object] = {}
    exec("from nmr_ml.predictions import *", names)  # noqa: S102  the form that reads __all__
    assert set(import_module("nmr_ml.predictions").__all__) <= names.keys()
