"""Pictures of how far probabilities can be trusted: reliability and the PIT histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nmr_ml.runtime.home import writing_file
from training.baselines.curves import MODALITY
from training.scoring.bootstrap import MODEL
from training.scoring.forecast_scores import PIT_EDGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

DPI = 110
#: Methods that are drawn, the model on top.
DRAWN = {MODALITY: ("median by modality", "0.6"), MODEL: ("model", "#1b6ca8")}
#: Area in points² of the marker of the fullest bin.
LARGEST_MARKER = 120.0


def write_plots(components: Mapping[str, Mapping[str, Any]], folder: Path) -> list[str]:
    """Write COMPONENT_calibration.png and COMPONENT_pit.png for each component with tests.

    Parameters
    ----------
    components : mapping of component to scores as `training.scoring.as_json.scores_json` gives them

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    OutsideError
        ``cannot_write``.
    """
    written = []
    for file, figure in figures(components):
        with writing_file(folder / file) as temporary:
            figure.savefig(temporary, format="png")
        written.append(file)
    return written


def figures(components: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Yield a file name and its picture, arguments as in `write_plots`."""
    for name, scores in components.items():
        if "pit" in scores:
            yield f"{name}_calibration.png", calibration_figure(name, scores)
            yield f"{name}_pit.png", pit_figure(name, scores)


def calibration_figure(name: str, scores: Mapping[str, Any]) -> Figure:
    """Draw how often tests read less than δ against how often that was foretold."""
    figure, axes = _figure(f"{name}: tests that read recovered")
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for method, (label, colour) in DRAWN.items():
        bins = scores["calibration"][method]
        x, y, n = (np.array([b[key] for b in bins]) for key in ("predicted", "observed", "tests_n"))
        axes.plot(x, y, color=colour, linewidth=1.5)
        axes.scatter(x, y, s=LARGEST_MARKER * n / n.max(), color=colour, label=label, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="foretold probability",
             ylabel="share of the tests (dots: by their number)")  # fmt: skip
    axes.legend(frameon=False, loc="upper left", reverse=True)
    return figure


def pit_figure(name: str, scores: Mapping[str, Any]) -> Figure:
    """Draw where readings fell in their predictive distributions."""
    tests = f"{scores['tests_n']:,} tests of {scores['athletes_n']:,} athletes"
    figure, axes = _figure(f"{name}: {tests}")
    axes.bar(PIT_EDGES[:-1], scores["pit"][MODEL], width=np.diff(PIT_EDGES), align="edge",
             color=DRAWN[MODEL][1], alpha=0.75, edgecolor="white", label="model")  # fmt: skip
    axes.stairs(
        scores["pit"][MODALITY], PIT_EDGES, baseline=None, color="0.4", label="median by modality"
    )
    axes.axhline(1 / (PIT_EDGES.size - 1), color="black", linewidth=1, linestyle="--")
    highest = max(max(scores["pit"][method]) for method in DRAWN)
    axes.set(xlim=(0, 1), ylim=(0, 1.35 * highest), ylabel="share of the tests",
             xlabel="foretold probability of a smaller deficit than was read")  # fmt: skip
    axes.legend(frameon=False, loc="upper center", ncols=2, reverse=True)
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 4.6), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
