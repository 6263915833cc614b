"""What CONTRIBUTING says of files, functions and tests holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("nmr_ml", "training", "serving", "benchmarks", "scripts")
FILES = [file for top in (*SOURCES, "tests") for file in sorted((ROOT / top).rglob("*.py"))]
MOST_LINES, LONGEST_FUNCTION = 500, 90


def test_files_and_functions_are_short() -> None:
    assert len(FILES) > 300
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") <= MOST_LINES, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{file}: {node.name}"


def test_tests_stand_in_the_room_of_what_they_test() -> None:
    rooms = {file.parent for file in FILES if (ROOT / "tests") in file.parents}
    for room in rooms - {ROOT / "tests"}:
        place = room.relative_to(ROOT / "tests")
        assert place.parts[0] in {"support", "oracle"} or (ROOT / place).is_dir(), place


@pytest.mark.parametrize("top", ["nmr_ml", "training", "serving"])
def test_most_tests_are_named_after_a_module(top: str) -> None:
    """The others are about what several modules promise together."""
    tests = sorted((ROOT / "tests" / top).rglob("test_*.py"))
    named = [
        test
        for test in tests
        if (ROOT / test.relative_to(ROOT / "tests")).with_name(test.name[5:]).is_file()
    ]
    assert len(named) / len(tests) > 0.8, sorted(set(tests) - set(named))


def test_no_test_imports_another() -> None:
    for file in FILES:
        for module in re.findall(
            r"^\s*(?:from|import) (tests[\w.]*)", file.read_text(), re.MULTILINE
        ):
            assert module.startswith("tests.support"), f"{file}: {module}"
            assert (ROOT / "tests") in file.parents, f"{file}: {module}"
