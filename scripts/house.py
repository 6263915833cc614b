"""Draw the house of the packages from the code's own imports: `make house`.

    python scripts/house.py [--facts]

A room is a package of modules, or a module beside them. It stands one floor above the highest room
that it imports, imports for type checkers included. The picture goes to ``docs/house.svg``, the
same bytes for the same code; ``--facts`` prints figures of it instead.
"""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from html import escape
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "house.svg"
BASE, *UPPER = HOUSES = ("nmr_ml", "training", "serving")

WIDTH, MARGIN, GUTTER = 1120, 16, 44
GAP, PAD, HEAD, FLOOR_GAP = 8, 12, 34, 8
#: The width of a letter, in a wide font, and the height of a line.
TEXT_PX, LINE_PX = 6.3, 15.0
#: Where purposes start: beside the name of a house, and of a room as wide as one.
BESIDE_HOUSE, BESIDE_ROOM = 84, 190
FONT = "Helvetica, Arial, sans-serif"
INK, SOFT, LINE = "#1f2d3a", "#4a5865", "#33475b"
FRAME, PLAIN = "#f7f9fb", "#edf0f3"
PAINT = {
    "nmr_ml.predictions": "#f3e6f5", "nmr_ml.bundle": "#f3e6f5",
    "nmr_ml.models": "#fdf0dc", "nmr_ml.estimator": "#fdf0dc",
    "nmr_ml.features": "#e5f3e5", "nmr_ml.labels": "#e5f3e5",
    "nmr_ml.history": "#e2eefa", "nmr_ml.cohort": "#e2eefa", "nmr_ml.ingest": "#e2eefa",
    "nmr_ml.simulator": "#e2eefa", "nmr_ml.recovery_tests": "#e2eefa",
    "training": "#fdf0dc", "serving": "#f3e6f5",
}  # fmt: skip


class Room(NamedTuple):
    """One room: its full name, what it is for, and how many modules it has."""

    name: str
    purpose: str
    modules: int


class Place(NamedTuple):
    """Where something is drawn."""

    x: float
    y: float
    width: float
    height: float


def main(arguments: Sequence[str]) -> int:
    """Draw, or print the figures; the exit code is 0."""
    if "--facts" in arguments:
        print(facts())  # noqa: T201  what the option is for
    else:
        PICTURE.write_text(drawn(), encoding="utf-8")
    return 0


def facts() -> str:
    """Return how many rooms and modules there are, and the longest chain of imports."""
    graph = built(types=False)
    imports = {name: imported(graph, name) for name in modules_of(graph)}
    heights = stacked(imports)
    chain = [max(inside(heights, BASE), key=lambda name: (heights[name], name))]
    while imports[chain[-1]]:
        chain.append(max(imports[chain[-1]], key=lambda name: (heights[name], name)))
    lines = [
        f"{house}: {len(rooms_of(graph, house))} rooms, {len(inside(heights, house))} modules"
        for house in HOUSES
    ]
    return "\n".join([*lines, f"longest chain of imports in {BASE}: {len(chain)} modules", *chain])


def built(*, types: bool) -> grimp.ImportGraph:
    """Return the graph of imports, with or without those for type checkers."""
    return grimp.build_graph(*HOUSES, exclude_type_checking_imports=not types, cache_dir=None)


def modules_of(graph: grimp.ImportGraph) -> set[str]:
    """Return the modules, without the packages, which only show what their modules define."""
    return {name for name in graph.modules if not graph.find_children(name)}


def imported(graph: grimp.ImportGraph, module: str) -> set[str]:
    """Return the modules that `module` imports."""
    return modules_of(graph) & graph.find_modules_directly_imported_by(module)


def inside(names: Mapping[str, object] | set[str], package: str) -> list[str]:
    """Return those of `names` that are `package` or lie in it."""
    return [name for name in names if f"{name}.".startswith(f"{package}.")]


def stacked(under: Mapping[str, set[str]]) -> dict[str, int]:
    """Return how many stand below each name, one on top of the other."""
    heights: dict[str, int] = {}
    for name in TopologicalSorter(under).static_order():
        heights[name] = 1 + max((heights[each] for each in under[name]), default=-1)
    return heights


def rooms_of(graph: grimp.ImportGraph, package: str) -> list[str]:
    """Return the names of the rooms of `package`; packages of packages alone are no rooms."""
    rooms = []
    for child in sorted(graph.find_children(package)):
        parts = graph.find_children(child)
        only_packages = bool(parts) and all(graph.find_children(part) for part in parts)
        rooms += rooms_of(graph, child) if only_packages else [child]
    return rooms


def floors(graph: grimp.ImportGraph, house: str) -> list[list[Room]]:
    """Return the rooms of `house` by floor, the highest first.

    On a floor, rooms stand near those of the next floor that they rest on.
    """
    modules, names = modules_of(graph), rooms_of(graph, house)
    owner = {module: room for room in names for module in inside(modules, room)}
    under: dict[str, set[str]] = {name: set() for name in names}
    for module, room in owner.items():
        others = {owner[each] for each in imported(graph, module) if each in owner}
        under[room] |= others - {room}
    heights, across = stacked(under), dict[str, float]()
    rows = []
    for _floor, group in groupby(sorted(names, key=lambda name: heights[name]), heights.get):
        near = {
            name: _middle(
                [across[each] for each in under[name] if heights[each] == heights[name] - 1]
            )
            for name in group
        }
        row = sorted(near, key=lambda name: (near[name], name))
        across |= {name: (place + 0.5) / len(row) for place, name in enumerate(row)}
        counted = [len(inside(modules, name)) for name in row]
        rows.append([Room(n, purpose(n), c) for n, c in zip(row, counted, strict=True)])
    return rows[::-1]


def _middle(places: Sequence[float]) -> float:
    return round(sum(places) / len(places), 6) if places else 0.5


def purpose(name: str) -> str:
    """Return the first line of the docstring of a package or module."""
    path = ROOT.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("`", "").removesuffix(".")


def drawn() -> str:
    """Return the picture."""
    graph = built(types=True)
    left, across = MARGIN + GUTTER, WIDTH - 2 * MARGIN - GUTTER
    each = (across - (len(UPPER) - 1) * GAP) / len(UPPER)
    upper = [floors(graph, house) for house in UPPER]
    height = max(_height(rows, each) for rows in upper)
    parts: list[str] = []
    for place, (house, rows) in enumerate(zip(UPPER, upper, strict=True)):
        at = Place(left + place * (each + GAP), MARGIN, each, height)
        parts += _house(house, rows, at)
    rows = floors(graph, BASE)
    at = Place(left, MARGIN + height + GAP, across, _height(rows, across))
    parts += _house(BASE, rows, at)
    bottom = at.y + at.height
    return "\n".join([*_opening(bottom + MARGIN), *_direction(bottom), *parts, "</svg>", ""])


def _house(house: str, rows: Sequence[Sequence[Room]], at: Place) -> Iterator[str]:
    yield _rectangle(at, FRAME, radius=10, stroke=1.4)
    yield _text(at.x + PAD, at.y + 22, house, size=15, weight=700)
    yield _text(at.x + BESIDE_HOUSE, at.y + 22, purpose(house), fill=SOFT)
    inner = at.width - 2 * PAD
    # What the other house is higher by goes between the floors.
    spare = (at.height - _height(rows, at.width)) / max(1, len(rows) - 1)
    y = at.y + HEAD
    for row in rows:
        width = (inner - (len(row) - 1) * GAP) / len(row)
        height = _row_height(row, width)
        for place, room in enumerate(row):
            spot = Place(at.x + PAD + place * (width + GAP), y, width, height)
            yield from _room(room, room.name.removeprefix(f"{house}."), spot)
        y += height + FLOOR_GAP + spare


def _room(room: Room, label: str, at: Place) -> Iterator[str]:
    fill = next((PAINT[name] for name in PAINT if inside({room.name}, name)), PLAIN)
    yield _rectangle(at, fill, radius=6, stroke=1)
    yield _text(at.x + 10, at.y + 19, label, size=13, weight=600)
    count = f"{room.modules} modules" if room.modules > 1 else "1 module"
    yield _text(at.x + at.width - 10, at.y + 19, count, size=10.5, fill=SOFT, anchor="end")
    if _fits_beside(room, at.width):
        yield _text(at.x + BESIDE_ROOM, at.y + 19, room.purpose, fill=SOFT)
    else:
        for place, line in enumerate(_lines(room, at.width)):
            yield _text(at.x + 10, at.y + 36 + place * LINE_PX, line, fill=SOFT)


def _fits_beside(room: Room, width: float) -> bool:
    """Whether the purpose finds its place between the name and the number of modules."""
    return BESIDE_ROOM + len(room.purpose) * TEXT_PX + 80 < width


def _lines(room: Room, width: float) -> list[str]:
    """Return the purpose in as few lines as it needs, of like length."""
    letters = int((width - 20) / TEXT_PX)
    lines = wrap(room.purpose, letters)
    while letters > 1 and len(narrower := wrap(room.purpose, letters - 1)) == len(lines):
        letters, lines = letters - 1, narrower
    return lines


def _row_height(row: Sequence[Room], width: float) -> float:
    if all(_fits_beside(room, width) for room in row):
        return 30
    return 29 + LINE_PX * max(len(_lines(room, width)) for room in row)


def _height(rows: Sequence[Sequence[Room]], width: float) -> float:
    inner = width - 2 * PAD
    heights = [_row_height(row, (inner - (len(row) - 1) * GAP) / len(row)) for row in rows]
    return HEAD + sum(heights) + (len(rows) - 1) * FLOOR_GAP + PAD


def _opening(height: float) -> Iterator[str]:
    label = "The rooms of the packages by floor: each imports only what stands on floors below it"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        f'font-family="{FONT}" role="img" aria-label="{label}">'
    )
    yield f'<rect width="{WIDTH}" height="{height:g}" fill="#ffffff"/>'


def _direction(bottom: float) -> Iterator[str]:
    """Draw the arrow beside all floors."""
    x, middle = MARGIN + 24, (MARGIN + bottom) / 2
    yield f'<path d="M{x} {MARGIN + 6}V{bottom - 12:g}" stroke="{LINE}" stroke-width="2"/>'
    yield f'<path d="M{x - 7} {bottom - 14:g}h14l-7 14z" fill="{LINE}"/>'
    text = "imports go down, never up, and never to a neighbour on the same floor"
    turned = f' transform="rotate(-90 {x - 10} {middle:g})"'
    yield _text(x - 10, middle, text, size=12.5, fill=SOFT, anchor="middle", more=turned)


def _rectangle(at: Place, fill: str, *, radius: float, stroke: float) -> str:
    return (
        f'<rect x="{at.x:g}" y="{at.y:g}" width="{at.width:g}" height="{at.height:g}" '
        f'rx="{radius:g}" fill="{fill}" stroke="{LINE}" stroke-width="{stroke:g}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 11.5,
    weight: int = 400,
    fill: str = INK,
    anchor: str = "start",
    more: str = "",
) -> str:
    style = f'font-size="{size:g}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style}{more}>{escape(text, quote=False)}</text>'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
