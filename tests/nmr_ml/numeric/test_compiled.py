"""Machine code on disk is of the sources as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import nmr_ml
from nmr_ml.numeric.compiled import (
    OLDER_FOLDERS,
    PACKAGES,
    cache_folder,
    kernel_sources,
    sources_hash,
)

ROOT = Path(nmr_ml.__file__).parents[1]
#: `probability_below` is compiled in posterior.py; what it inlines and divides by is elsewhere.
PROGRAM = """
import numpy as np
from nmr_ml.models.curve.grid import curve_grid
from nmr_ml.models.curve.posterior import probability_below
from nmr_ml.labels.followed_tests import Followed
from nmr_ml.history.rested_baseline import Baselines
one = np.ones(1)
tests = Followed(np.array([0, 1]), 6 * one, one, 2 * one, one, Baselines.unknown(1))
means = np.array([[2.0, 3.0, 0.5]])
print(float(probability_below(curve_grid(3.0), means, np.array([0.3, 0.4, 0.2]), tests, 2.6)[0]))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, copied with their times so that numba sees no other file."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


def told(copy: Path) -> float:
    """Return what the program prints with the packages of `copy`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.slow
def test_a_constant_of_another_file_arrives(copy: Path) -> None:
    """numba's own stamp is the time of the compiled function's file, which does not change here."""
    before = told(copy)
    assert told(copy) == before
    likelihood = copy / "nmr_ml" / "models" / "curve" / "likelihood.py"
    text = likelihood.read_text(encoding="utf-8")
    assert text.count("FAST_HALF_LIFE_H = 3.0") == 1
    likelihood.write_text(text.replace("FAST_HALF_LIFE_H = 3.0", "FAST_HALF_LIFE_H = 30.0"))
    changed = told(copy)
    assert abs(changed - before) > 0.01
    shutil.rmtree(copy / "nmr_ml" / "__pycache__")
    assert told(copy) == changed  # compiled afresh


#: A kernel for several types of number; whatever is loaded for another one gives other bits.
KERNEL = """
from nmr_ml.numeric.compiled import kept

@kept
def third(x):
    return x / 3 + x * x
"""
#: Saves slowly: an index is read, written some time later, and later still what it speaks of.
SLOWLY = """
import sys, time
import numpy as np
from numba.core.caching import IndexDataCacheFile as File
index, code = File._save_index, File._save_data
File._save_index = lambda self, overloads: (time.sleep(1.0), index(self, overloads))
File._save_data = lambda self, name, data: (time.sleep(1.0), code(self, name, data))
from shared_kernel import third
third(getattr(np, sys.argv[1])(7))
"""
CHECK = """
import numpy as np
from shared_kernel import third
for name in ("float64", "int64", "float32", "int32"):
    print(float(third(getattr(np, name)(7))))
assert not third.stats.cache_misses, third.stats  # all that was saved is found
"""


@pytest.mark.slow
def test_processes_that_compile_at_once_get_their_own_code(tmp_path: Path) -> None:
    """Without the lock both take the first free number, and one loads what the other saved."""
    (tmp_path / "shared_kernel.py").write_text(KERNEL)
    environment = {
        **os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "NUMBA_CACHE_DIR": str(tmp_path / "kept")
    }  # fmt: skip
    at_once = [
        subprocess.Popen([sys.executable, "-c", SLOWLY, name], env=environment)
        for name in ("float64", "int64", "float32", "int32")
    ]
    assert [process.wait(120) for process in at_once] == [0] * len(at_once)
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=True
    )
    expected = [7 / 3 + 49, 7 / 3 + 49, 7 / 3 + 49, 7 / 3 + 49]
    assert [float(line) for line in done.stdout.split()] == pytest.approx(expected, rel=1e-6)


def test_sources_are_kernels_and_what_they_import() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in kernel_sources(ROOT)}
    assert {
        "nmr_ml/models/curve/posterior.py",  # a kernel
        "nmr_ml/models/curve/likelihood.py",  # inlined by it
        "nmr_ml/recovery_tests.py",  # constants of the rested baseline
        "nmr_ml/cohort/tables.py",  # codes of categories
        "training/scoring/forecasts.py",
        "serving/requests/moments.py",
    } <= names
    assert not {"nmr_ml/cli/main.py", "serving/server.py", "training/reports/card.py"} & names


def test_every_compiled_function_is_compiled_here() -> None:
    """Another decorator would keep machine code that can be stale."""
    for package in (*PACKAGES, "benchmarks"):
        for file in (ROOT / package).rglob("*.py"):
            if file.name != "compiled.py":
                assert "njit" not in file.read_text(encoding="utf-8"), file


def test_the_hash_follows_sources_numba_and_the_processor(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("X = 1")
    machine = {"numba": numba.__version__, "processor": "one"}
    first = sources_hash([file], machine)
    assert sources_hash([file], dict(machine)) == first
    assert sources_hash([file], {**machine, "numba": "0"}) != first
    assert sources_hash([file], {**machine, "processor": "other"}) != first
    file.write_text("X = 2")
    assert sources_hash([file], machine) != first


def test_old_folders_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    for age in range(6):
        old = tmp_path / f"kernels-{age}"
        old.mkdir()
        os.utime(old, (age, age))
    stranger = tmp_path / "other"
    stranger.mkdir()
    cache_folder.cache_clear()
    try:
        folder = cache_folder()
    finally:
        cache_folder.cache_clear()
    assert folder is not None
    assert folder.parent == tmp_path
    left = {path.name for path in tmp_path.glob("kernels-*")}
    assert left == {folder.name, *(f"kernels-{age}" for age in range(6 - OLDER_FOLDERS, 6))}
    assert stranger.is_dir()


def test_without_a_place_to_write_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(taken))
    cache_folder.cache_clear()
    try:
        assert cache_folder() is None
    finally:
        cache_folder.cache_clear()
