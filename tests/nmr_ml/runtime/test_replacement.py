from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmr_ml.runtime import replacement
from nmr_ml.runtime.home import writing_folder
from nmr_ml.runtime.replacement import ASIDE, PARTIAL, SETTLED_S, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILES = 12
#: Replaces the folder over and over; the files of a whole one hold the same number.
WRITER = f"""
import sys
from itertools import count
from pathlib import Path
from nmr_ml.runtime import home, replacement

replacement.SETTLED_S = 0.0
if sys.argv[2] == "two renames":
    replacement._exchanged = lambda *_: False
for number in count(int(sys.argv[3])):
    with home.writing_folder(Path(sys.argv[1])) as folder:
        for name in range({FILES}):
            (folder / str(name)).write_text(str(number))
    print(number, flush=True)
"""


@pytest.fixture(params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """How a folder takes the place of another."""
    names = tmp_path / "a", tmp_path / "b"
    for name in names:
        name.mkdir()
    if request.param == "exchange" and not replacement._exchanged(*names):
        pytest.skip("this disk cannot exchange names")
    for name in names:
        name.rmdir()
    return str(request.param)


def _put(path: Path, text: str) -> None:
    with writing_folder(path) as folder:
        for name in range(FILES):
            (folder / str(name)).write_text(text, encoding="utf-8")


def _number(path: Path) -> int:
    """Return the number in a folder, which must be whole."""
    files = sorted(restored(path).iterdir())
    assert len(files) == FILES
    (number,) = {file.read_text(encoding="utf-8") for file in files}
    return int(number)


@pytest.fixture
def leftover(tmp_path: Path) -> Path:
    """What a writer of ``tmp_path / "it"`` that was killed long ago has left."""
    path = tmp_path / f".it.a1b2c3d4{PARTIAL}"
    path.mkdir()
    (path / "half").write_text("0", encoding="utf-8")
    _age(path)
    return path


def _age(path: Path) -> None:
    os.utime(path, (time.time() - 2 * SETTLED_S,) * 2)


def _writers(path: Path, way: str, kills: int) -> Iterator[int]:
    """Start a writer, kill it at a random moment and yield the last number it has told; again."""
    rng, number = np.random.default_rng(7), 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), way, str(number + 1)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        ) as writer:  # fmt: skip
            assert writer.stdout is not None
            writer.stdout.readline()
            until = time.monotonic() + rng.uniform(0.0, 0.1)
            while time.monotonic() < until:
                # Between two renames a reader may have to look again.
                assert way == "two renames" or path.is_dir()
            writer.kill()
            number = max([number + 1, *map(int, writer.stdout.read().split())])
        yield number


@pytest.mark.slow
def test_a_killed_writer_leaves_a_whole_folder(tmp_path: Path, way: str) -> None:
    path = tmp_path / "it"
    _put(path, "0")
    for told in _writers(path, way, kills=25):
        # It may have been killed before it told the last one.
        assert _number(path) in {told, told + 1}
    # Each writer has removed what those before it had left.
    assert len(list(tmp_path.iterdir())) <= 3


def test_every_step_leaves_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A copy of the disk after each step is what a kill there would leave."""
    path, copies = tmp_path / "now" / "it", tmp_path / "copies"
    _put(path, "0")
    if way == "two renames":
        monkeypatch.setattr(replacement, "_exchanged", lambda *_: False)
    for owner, name in ((Path, "rename"), (replacement, "_exchanged"), (replacement, "sync")):
        monkeypatch.setattr(owner, name, _copying(getattr(owner, name), path.parent, copies))
    _put(path, "1")
    monkeypatch.undo()
    numbers = []
    for copy in sorted(copies.iterdir(), key=lambda copy: int(copy.name)):
        numbers.append(_number(copy / "it"))
        _put(copy / "it", "2")
        assert _number(copy / "it") == 2
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1}
    assert len(numbers) == FILES + (4 if way == "exchange" else 8)


def _copying(step: Callable[..., Any], folder: Path, copies: Path) -> Callable[..., Any]:
    def copying(*args: Any) -> Any:
        try:
            return step(*args)
        finally:
            number = len(list(copies.iterdir())) if copies.is_dir() else 0
            shutil.copytree(folder, copies / str(number))

    return copying


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path, leftover: Path) -> None:
    aside = leftover.with_suffix(ASIDE)
    shutil.copytree(leftover, aside)
    _age(aside)
    (tmp_path / "it").mkdir()
    _put(tmp_path / "it", "1")
    assert [entry.name for entry in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("name", [".it.more.a1b2c3d4", ".other.a1b2c3d4", ".it.original"])
def test_folders_of_others_stay(tmp_path: Path, name: str) -> None:
    others = tmp_path / (name if name == ".it.original" else name + PARTIAL)
    others.mkdir()
    _age(others)
    _put(tmp_path / "it", "1")
    assert others.is_dir()


def test_what_may_have_a_writer_stays(tmp_path: Path, leftover: Path) -> None:
    path = tmp_path / "it"
    os.utime(leftover)  # just made, perhaps not locked yet
    with writing_folder(path) as slow:
        _age(slow)
        _put(path, "1")
        assert slow.is_dir()
        assert leftover.is_dir()
        for name in range(FILES):
            (slow / str(name)).write_text("2", encoding="utf-8")
    assert _number(path) == 2


def test_the_set_aside_folder_is_put_back_only_where_it_is_missed(
    tmp_path: Path, leftover: Path
) -> None:
    path, aside = tmp_path / "it", leftover.with_suffix(ASIDE)
    leftover.rename(aside)
    assert restored(path) == path
    assert (path / "half").is_file()
    assert not aside.exists()
    shutil.copytree(path, aside)
    (path / "half").write_text("1", encoding="utf-8")
    restored(path)
    assert (path / "half").read_text(encoding="utf-8") == "1"
    assert not restored(tmp_path / "nothing").exists()
