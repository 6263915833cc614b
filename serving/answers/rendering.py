"""An answer for a person: the hours first, then the curve, what moved them, and what to know."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nmr_ml.reasons import Abstain
from nmr_ml.recovery_tests import AVAILABILITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

#: What of the curve and of the drivers fits 80 columns and a short look; the JSON has all.
SHOWN_H = (0, 12, 24, 36, 48, 72, 96, 120)
SHOWN_D_H = (0, 48, 96, 168, 336, 504, 672, 1344)
SHOWN_DRIVERS = 5
_WHY = {
    Abstain.LOAD_MISSING: "the load of the session is not known",
    Abstain.SESSION_NOT_KNOWN: "the session was not known at that time",
    Abstain.TOO_LITTLE_DATA: "there is too little data",
    Abstain.RED_FLAG: "a laboratory value calls for a clinician",
    Abstain.COMPONENT_NOT_LEARNT: "the model has not learnt this component",
}


def rendered(answer: Mapping[str, Any]) -> RenderableType:
    """Return the answer of the API as a Rich renderable."""
    parts: list[RenderableType] = []
    episodes = dict.fromkeys((row["episode_id"], row["as_of"]) for row in answer["predictions"])
    for episode in episodes:
        chosen = [r for r in answer["predictions"] if (r["episode_id"], r["as_of"]) == episode]
        parts += [_heading(chosen[0]), _hours(chosen), *_abstentions(chosen)]
        parts += [part for row in chosen if row["curve"] for part in _details(row)]
    parts += [Text(f"note  {w['message']}", style="dim") for w in answer["warnings"]]
    model = answer["model"]
    parts.append(Text(f"model  {model['name']} version {model['version']}", style="dim"))
    return Group(*parts)


def _heading(row: Row) -> Text:
    text = Text.assemble((f"{row['kind']} {row['episode_id']}", "bold"), f" of {row['athlete_id']}")
    return text.append(f", clock start {_time(row['clock_start'])}, as of {_time(row['as_of'])}")


def _hours(rows: Sequence[Row]) -> Table:
    table = _table("", "median", f"{rows[0]['interval_level']:.0%} interval", "left", "now")
    for name in ("24 h", "48 h", "72 h", "96 h", "δ"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row["status"] == "ok":
            table.add_row(row["component"] + ("*" if row["limiting"] else ""), *_cells(row))
    if table.row_count:
        table.caption, table.caption_justify = "* recovers last", "left"
    else:
        table.show_header = False
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _cells(row: Row) -> tuple[str, ...]:
    upper = "∞" if row["upper_unbounded"] else f"{row['upper_h']:.0f} h"
    chances = (f"{row[name]:.0%}" for name in ("p_now", "p_24h", "p_48h", "p_72h", "p_96h"))
    unit = "%" if row["delta_unit"] == "pct" else " pt"
    if row["component"] == AVAILABILITY:
        times = (_d(row["recovery_h"]), f"{_d(row['lower_h'])} – {_d(row['upper_h'])}",
                 _d(row["remaining_h"]))  # fmt: skip
        return (*times, *chances, "")
    return (
        _h(row["recovery_h"]),
        f"{row['lower_h']:.0f} – {upper}",
        _h(row["remaining_h"]),
        *chances,
        f"{row['delta']:g}{unit}",
    )


def _abstentions(rows: Sequence[Row]) -> list[Text]:
    return [
        Text(f"{row['component']}: no number, {_WHY[Abstain(row['reason'])]}")
        for row in rows
        if row["status"] != "ok"
    ]


def _details(row: Row) -> list[RenderableType]:
    unit = "%" if row["delta_unit"] == "pct" else "points"
    title = f"{row['component']}: chance of having recovered and deficit in {unit}, by hours"
    if row["component"] == AVAILABILITY:
        title = f"{row['component']}: chance that it is over, by days"
    parts: list[RenderableType] = [Text(title), _curve(row)]
    if row["drivers"]:
        parts.append(_drivers(row["drivers"]))
    return parts


def _curve(row: Row) -> Table:
    if row["component"] == AVAILABILITY:
        points = [point for point in row["curve"] if point["h"] in SHOWN_D_H]
        table = _table("", *(_d(point["h"]) for point in points))
        table.add_row("  chance", *(f"{point['p']:.0%}" for point in points))
        return table
    points = [point for point in row["curve"] if point["h"] in SHOWN_H]
    table = _table("", *(f"{point['h']:.0f} h" for point in points))
    table.add_row("  chance", *(f"{point['p']:.0%}" for point in points))
    table.add_row("  deficit", *(f"{point['deficit']:.1f}" for point in points))
    return table


def _drivers(drivers: Sequence[Row]) -> Table:
    table = _table("  associated with", "value", "hours")
    for driver in drivers[:SHOWN_DRIVERS]:
        value = "absent" if driver["value"] is None else f"{driver['value']:.4g}"
        if driver["group"] == "endocrine" and driver["value"] is not None:
            value = "measured"  # a laboratory value is for a clinician to read
        name = f"  {driver['group']}: {driver['feature']}"
        table.add_row(name, value, f"×{driver['ratio']:.2f}")
    return table


def _h(hours: float | None) -> str:
    return "∞" if hours is None else f"{hours:.0f} h"


def _d(hours: float) -> str:
    """Return days, to half a day while they are few."""
    days = hours / 24
    return f"{days:.0f} d" if days >= 7 else f"{round(2 * days) / 2:g} d"


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
