"""The picture of the house is that of the code."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from scripts.house import PICTURE, built, drawn, facts, imported, stacked


def test_picture_is_of_the_code_as_it_is() -> None:
    assert drawn() == PICTURE.read_text(encoding="utf-8"), "docs/house.svg is old: make house"


def test_picture_is_well_formed_and_stays_inside_its_frame() -> None:
    picture = ET.fromstring(drawn())  # noqa: S314  our own
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes = [{k: float(box.get(k, 0)) for k in ("x", "y", "width", "height")} for box in picture]
    assert all(0 <= box["x"] <= box["x"] + box["width"] <= width for box in boxes)
    assert all(0 <= box["y"] <= box["y"] + box["height"] <= height for box in boxes)


def test_room_stands_on_the_highest_room_that_it_imports() -> None:
    assert stacked({"roof": {"wall", "ground"}, "wall": {"ground"}, "ground": set()}) == {
        "ground": 0,
        "wall": 1,
        "roof": 2,
    }


def test_longest_chain_is_one_of_imports() -> None:
    graph = built(types=False)
    header, *chain = facts().partition("longest ")[2].splitlines()
    assert header.endswith(f": {len(chain)} modules")
    assert all(below in imported(graph, name) for name, below in pairwise(chain))
    assert not imported(graph, chain[-1])


def test_a_circle_is_told() -> None:
    with pytest.raises(ValueError, match="cycle"):
        stacked({"a": {"b"}, "b": {"a"}})
