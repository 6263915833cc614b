from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from nmr_ml.errors import OutsideError
from training.baselines.curves import MODALITY
from training.reports.plots import calibration_figure, pit_figure, write_plots
from training.scoring.bootstrap import MODEL

if TYPE_CHECKING:
    from pathlib import Path


def scores() -> dict[str, Any]:
    bins = [{"predicted": p, "observed": p * 0.9, "tests_n": n} for p, n in ((0.2, 40), (0.8, 9))]
    return {
        "athletes_n": 12,
        "tests_n": 49,
        "calibration": {MODEL: bins, MODALITY: bins[:1]},
        "pit": {MODEL: [0.05, 0.15, *[0.1] * 8], MODALITY: [0.1] * 10},
    }


def test_each_component_with_tests_gets_two_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "plots"
    written = write_plots({"power": scores(), "central": {"brier": {}}}, folder)
    assert written == ["power_calibration.png", "power_pit.png"]
    assert sorted(file.name for file in folder.iterdir()) == written
    for file in folder.iterdir():
        image = imread(file)
        assert image.shape[0] > 400
        assert image.shape[1] > 500
        assert np.ptp(image[..., :3]) == 1.0


def test_pictures_show_what_the_scores_say() -> None:
    (axes,) = calibration_figure("power", scores()).axes
    legend = axes.get_legend()
    assert legend is not None
    assert {t.get_text() for t in legend.get_texts()} == {"model", "median by modality"}
    drawn = [line.get_xydata() for line in axes.lines]
    assert any(np.allclose(xy, [[0.2, 0.18], [0.8, 0.72]]) for xy in drawn)
    (axes,) = pit_figure("power", scores()).axes
    assert axes.get_title() == "power: 49 tests of 12 athletes"
    bars = [bar for bar in axes.patches[:2] if isinstance(bar, Rectangle)]
    assert [bar.get_height() for bar in bars] == [0.05, 0.15]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutsideError) as caught:
        write_plots({"power": scores()}, tmp_path / "file")
    assert caught.value.code == "cannot_write"
