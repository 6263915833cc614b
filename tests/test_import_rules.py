"""The contracts for imports in pyproject.toml can fail, each of them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("nmr_ml", "training", "serving")
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {each["id"]: each for each in SETTINGS["tool"]["importlinter"]["contracts"]}

#: The imports that each contract must refuse: a module, and what it must not import.
FORBIDDEN = {
    "houses": [
        ("training.config", "serving.batch"),
        ("serving.batch", "training.config"),
        ("nmr_ml.predictions.options", "training.config"),
        ("nmr_ml.estimator", "serving.answers.encoding"),
    ],
    "rooms": [
        ("nmr_ml.bundle.registry", "nmr_ml.predictions.options"),
        ("nmr_ml.models.curve.grid", "nmr_ml.models.availability.law"),
        ("nmr_ml.features.sleep", "nmr_ml.models.curve.grid"),
        ("nmr_ml.history.columns", "nmr_ml.labels.index_tests"),
        ("nmr_ml.simulator.clock", "nmr_ml.history.local_time"),
        ("nmr_ml.recovery_tests", "nmr_ml.cohort.tables"),
        ("nmr_ml.reasons", "nmr_ml.errors"),
    ],
    "models": [
        ("nmr_ml.models.component.offsets", "nmr_ml.models.readings.model"),
    ],
    "hindsight": [
        ("nmr_ml.features.sleep", "nmr_ml.labels.index_tests"),
        ("nmr_ml.labels.index_tests", "nmr_ml.features.sleep"),
    ],
    "arrays": [
        ("nmr_ml.models.readings.model", "nmr_ml.cohort.tables"),
    ],
    "curve": [
        ("nmr_ml.models.curve.target", "nmr_ml.features.contract"),
        ("nmr_ml.models.curve.target", "nmr_ml.models.component.clearance"),
    ],
    "impulse": [
        ("nmr_ml.models.impulse.stream", "nmr_ml.history.local_time"),
        ("nmr_ml.models.impulse.columns", "nmr_ml.features.contract"),
    ],
    "fitting": [
        ("nmr_ml.predictions.predict", "nmr_ml.models.availability.fit"),
        ("nmr_ml.models.curve.posterior", "nmr_ml.models.curve.fit"),
    ],
    "answering": [
        ("nmr_ml.predictions.predict", "nmr_ml.estimator"),
    ],
    "sources": [
        ("nmr_ml.predictions.golden", "nmr_ml.simulator"),
        ("training.data.dataset", "nmr_ml.ingest.saving"),
    ],
    "commands": [
        ("nmr_ml.cli.validate", "nmr_ml.history.columns"),
    ],
    "faces": [
        ("training.data.dataset", "nmr_ml"),
        ("nmr_ml.bundle.bundle", "nmr_ml.models"),
        ("serving.batch", "nmr_ml.cohort"),
    ],
    "training": [
        ("training.scoring.scores", "training.data.dataset"),
        ("training.fitting.credit", "training.reports.card"),
    ],
    "serving": [
        ("serving.answers.encoding", "serving.requests.schema"),
        ("serving.batch", "serving.api.app"),
    ],
    "circles": [
        ("nmr_ml.runtime.home", "nmr_ml.runtime.configs"),
    ],
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages and their contracts."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


@pytest.fixture
def untouched(copy: Path) -> Iterator[Path]:
    """Return the copy, and take back what the test adds to it."""
    before = {path: path.read_bytes() for path in copy.rglob("*.py")}
    yield copy
    for path in list(copy.rglob("*.py")):
        if path not in before:
            path.unlink()
        elif path.read_bytes() != before[path]:
            path.write_bytes(before[path])


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Return what the linter says about the packages in `folder`."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    command += [word for contract in contracts for word in ("--contract", contract)]
    wide = os.environ | {"COLUMNS": "300"}
    return subprocess.run(
        command, cwd=folder, env=wide, capture_output=True, text=True, check=False
    )


def test_all_contracts_are_kept(untouched: Path) -> None:
    done = lint(untouched)
    assert done.returncode == 0, done.stdout
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_forbidden_imports_are_refused(untouched: Path, contract: str) -> None:
    for importer, imported in FORBIDDEN[contract]:
        with untouched.joinpath(*importer.split(".")).with_suffix(".py").open("a") as file:
            file.write(f"\nimport {imported}\n")
    done = lint(untouched, contract)
    assert done.returncode == 1
    for importer, imported in FORBIDDEN[contract]:
        # The contract against circles leaves out the package's name.
        names = (name.rpartition(".")[2] for name in (importer, imported))
        assert re.search(r"\b{} -> \S*\b{} \(".format(*names), done.stdout), done.stdout


def test_import_for_type_checkers_counts(untouched: Path) -> None:
    with (untouched / "nmr_ml" / "features" / "sleep.py").open("a") as file:
        file.write("\nif TYPE_CHECKING:\n    import nmr_ml.labels.index_tests\n")
    assert lint(untouched, "hindsight").returncode == 1


@pytest.mark.parametrize(
    ("contract", "room"), [("rooms", "nmr_ml"), ("training", "training"), ("serving", "serving")]
)
def test_room_without_a_place_is_refused(untouched: Path, contract: str, room: str) -> None:
    (untouched / room / "attic.py").write_text("")
    done = lint(untouched, contract)
    assert done.returncode == 1
    assert f"{room}.attic" in done.stdout


def test_contracts_know_every_module_that_fits() -> None:
    fitting = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "nmr_ml").rglob("fit*.py")
    }
    assert set(CONTRACTS["fitting"]["protected_modules"]) == fitting
    assert set(CONTRACTS["answering"]["forbidden_modules"]) == fitting
    allowed = fitting | {"training", "nmr_ml.estimator"}
    assert set(CONTRACTS["fitting"]["allowed_importers"]) == allowed


def test_contracts_know_every_package() -> None:
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    shown = {"nmr_ml.ingest", "nmr_ml.simulator"}
    assert set(CONTRACTS["faces"]["forbidden_modules"]) == packages - shown


def test_no_private_name_leaves_its_package() -> None:
    for path in [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        own = ".".join(path.relative_to(ROOT).parent.parts)
        for line in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(line, ast.ImportFrom) and line.module != "__future__":
                private = [each.name for each in line.names if each.name.startswith("_")]
                package = str(line.module).rpartition(".")[0]
                assert not private or package == own, f"{path}: {private} of {line.module}"
