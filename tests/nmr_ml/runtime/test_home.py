from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nmr_ml.errors import OutsideError
from nmr_ml.runtime.home import writing_file, writing_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inode of each file and folder that is synced, in that order."""
    found: list[int] = []
    true = os.fsync

    def fsync(handle: int) -> None:
        found.append(os.fstat(handle).st_ino)
        true(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def _write(path: Path, text: str = "new") -> list[int]:
    """Write a folder with a file at two levels and return the inodes of all of it."""
    with writing_folder(path) as folder:
        (folder / "deep").mkdir()
        for file in (folder / "one.txt", folder / "deep" / "two.txt"):
            file.write_text(text, encoding="utf-8")
        return [entry.stat().st_ino for entry in (*folder.rglob("*"), folder)]


def _fail_in(folder: Path) -> None:
    (folder / "one.txt").write_text("half", encoding="utf-8")
    raise RuntimeError


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path, parent = tmp_path / "made" / "it", 0
    if there:
        _write(path, "old")
    synced.clear()
    named_at: list[int] = []
    recorded = os.fsync

    def fsync(handle: int) -> None:
        recorded(handle)
        named_at.append(path.stat().st_ino if path.exists() else 0)

    monkeypatch.setattr(os, "fsync", fsync)
    written, parent = _write(path), path.parent.stat().st_ino
    assert path.stat().st_ino == written[-1]
    assert set(synced[:-1]) == set(written)
    assert written[-1] not in named_at[:-1]
    assert (synced[-1], named_at[-1]) == (parent, written[-1])


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, synced: list[int]) -> None:
    path = tmp_path / "answer.json"
    for text in ("old", "new"):
        synced.clear()
        with writing_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            assert not synced
        assert synced == [path.stat().st_ino, tmp_path.stat().st_ino]
        assert path.read_text(encoding="utf-8") == text
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for text in ("old", "new"):
        _write(tmp_path / "it", text)
        assert (tmp_path / "it" / "one.txt").read_text(encoding="utf-8") == text
        assert (tmp_path / "it").stat().st_mode & 0o777 == 0o755
        assert [entry.name for entry in tmp_path.iterdir()] == ["it"]


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "it", "old")
    with pytest.raises(RuntimeError), writing_folder(tmp_path / "it") as folder:
        _fail_in(folder)
    assert (tmp_path / "it" / "one.txt").read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_only_a_folder_is_replaced(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "it", tmp_path / "other"
    _write(other, "old")
    if kind == "file":
        path.write_text("mine", encoding="utf-8")
    else:
        path.symlink_to(other)
    with pytest.raises(OutsideError) as caught:
        _write(path)
    assert caught.value.code == "cannot_write"
    assert (other / "one.txt").read_text(encoding="utf-8") == "old"
    assert path.is_symlink() if kind == "link" else path.read_text(encoding="utf-8") == "mine"
