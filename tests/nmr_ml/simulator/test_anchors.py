"""The simulator against published group means."""

from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.simulator import anchors
from nmr_ml.simulator.config import shipped_config
from nmr_ml.simulator.kernels import POWER, deficits_of

CONFIG = shipped_config()
#: Missed, and known to be; README.md says why. Everything else has to agree.
MISSED = {
    ("soccer_match", "cmj", 72.0, -3.0),
    ("soccer_match", "mvc", 72.0, -6.0),
    ("soccer_match", "va", 0.5, -4.0),
    ("soccer_match", "va", 24.0, 0.0),
    ("soccer_match", "cortisol", 72.0, 21.0),
    ("soccer_match", "tc", 72.0, -28.0),
    ("soccer_match", "cmj_back", None, 69.0),
    ("soccer_match", "sprint_back", None, 5.0),
    ("soccer_match", "mvc_back", None, 27.0),
    ("soccer_match", "cmj_back", None, 48.0),
    ("soccer_simulation", "va", 0.5, -15.0),
    ("rugby_match", "cortisol", 36.0, 50.0),
    ("rugby_match", "cortisol", 60.0, 0.0),
    ("rugby_match", "cmj_back", None, 48.0),
    ("squat_heavy", "cmj", 24.0, -20.0),
    ("squat_heavy", "cmj", 72.0, -13.0),
    ("squat_heavy", "mvc", 24.0, -25.0),
    ("squat_heavy", "cmj_back", None, 72.0),
    ("rt_failure", "cmj_back", None, 48.0),
    ("hypertrophy", "testosterone", 48.0, 0.0),
    ("hiit", "cmj", 0.5, 8.0),
    ("eccentric", "ck", 96.0, 65.0),
    ("marathon", "ck", 144.0, 1.0),
    ("ultra_166km", "ck", 0.5, 95.0),
    ("ultra_166km", "crp", 0.5, 36.0),
}


def _key(anchor: anchors.Anchor) -> tuple[str, str, float | None, float]:
    return anchor.archetype, anchor.quantity, anchor.hours, anchor.published


def test_all_anchors_but_the_known_misses_agree() -> None:
    missed = {
        (*_key(a), a.source)
        for a in anchors.shipped_anchors()
        if not anchors.agrees(a, anchors.simulated(a, CONFIG))
    }
    # Doeven's band holds 54 h, Goulart's does not: one value published twice.
    assert {key[:4] for key in missed} == MISSED
    assert len(missed) == len(MISSED)


def test_bands_hold_the_published_value() -> None:
    for anchor in anchors.shipped_anchors():
        assert anchor.band[0] <= anchor.published <= anchor.band[1], anchor


def test_the_readme_tells_the_truth() -> None:
    text = anchors.README.read_text(encoding="utf-8")
    assert text == anchors.renewed(text, CONFIG), "run `python -m nmr_ml.simulator.anchors`"
    assert text.count("**no**") == len(MISSED)


#: domain.md §6.2: 10th, 50th and 90th percentile of hours in a population, δ 2.6 %.
POPULATION = {
    "soccer_match": (30, 54, 94),
    "rugby_match": (38, 69, 120),
    "squat_heavy": (52, 91, 162),
    "sprints": (24, 54, 98),
    "hiit": (4, 9, 20),
    "marathon": (43, 71, 120),
}


@pytest.mark.statistical
@pytest.mark.parametrize("archetype", POPULATION)
def test_populations_recover_like_those_of_the_specification(archetype: str) -> None:
    n, hours = 250, np.array([0.5, 24.0, 48.0])
    curves, recovery = anchors.population(archetype, n, 3, CONFIG, hours=hours)
    low, middle, high = np.percentile(recovery, [10, 50, 90])
    expected = POPULATION[archetype]
    # Standard errors of the percentiles at n = 250 are 4-9 %, the table's own are unknown.
    assert middle == pytest.approx(expected[1], rel=0.15, abs=1.0)
    assert low == pytest.approx(expected[0], rel=0.3, abs=1.5)
    assert high == pytest.approx(expected[2], rel=0.2, abs=2.5)
    reference = anchors.reference_states(archetype, hours, CONFIG)
    group = np.median(curves, axis=0)
    alone = deficits_of(reference, CONFIG.weights())[:, POWER]
    np.testing.assert_allclose(group, alone, rtol=0.15, atol=0.3)
