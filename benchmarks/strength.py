"""Eleven runners of a 50 km race against a model that has seen only simulated strength tests.

The runners have one rested test each and no load (see the ingester), so the model cannot be asked
the usual way. What is assumed here instead:

- The effort of the race is the first of `RACE_RPES`, between those of the simulated marathons and
  ultramarathons.
- The one test before the race is the baseline, with the typical error of one test day, and holds
  nothing of earlier sessions. That error is the configured one, and once more what the tests during
  the race show.
- The model is given the columns that the runners have, with values that the simulation has.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort.reader import read_cohort
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.history.rested_baseline import test_errors
from nmr_ml.ingest import SOURCES, IngestOptions
from nmr_ml.ingest.saving import save
from nmr_ml.labels.followed_tests import Followed, no_tests
from nmr_ml.models.component.model import prior_of
from nmr_ml.models.component.offsets import Past, athlete_offsets
from nmr_ml.models.curve.posterior import probability_below
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import load_config as simulator_settings
from nmr_ml.simulator import simulate
from training.config import load_config
from training.data.dataset import component_data
from training.fitting.component import fit_component

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.numeric.arrays import Bools, Floats, Objects
    from nmr_ml.simulator import SimulatorConfig


SIMULATED_TEST, REAL_TEST = "mvc_knee_extension", "mvc_knee_extension_kg"
#: CR10; the source does not say. The first stands in the table, the others show what it matters.
RACE_RPES = (7.0, 6.0, 8.0)
TESTED_H = 24.0
#: Simulated races from this distance on are counted as long.
LONG_M = 38_000.0
#: Races of simulated runners: archetype, share of its mean session, share of Saturdays.
RACES = (
    ("marathon", 1.0, 0.08), ("marathon", 1.2, 0.08), ("marathon", 1.6, 0.05),
    ("marathon", 2.0, 0.05), ("ultra_166km", 0.2, 0.05), ("ultra_166km", 0.3, 0.05),
    ("ultra_166km", 0.45, 0.04),
)  # fmt: skip
ATHLETES, DAYS, SEED = 150, 150, 31
#: Columns of a straight line over four tests.
LINE = np.column_stack([np.ones(4), np.arange(4.0)])
LIMITS = np.arange(-80.0, 100.25, 0.25)
LEVELS = np.array([0.1, 0.5, 0.9])


@dataclass(frozen=True, slots=True)
class Strength:
    """Change of strength 24 h after the race in per cent of before it, one row a runner.

    `predicted` has the quantiles `LEVELS`, test errors included, and `overall` those of a runner
    drawn at random.
    """

    observed: Floats
    predicted: Floats
    overall: Floats
    columns_n: int
    races_n: int

    @property
    def covered(self) -> Bools:
        """Whether the 80 % predictive interval holds the runner's change."""
        return (self.predicted[:, 0] <= self.observed) & (self.observed <= self.predicted[:, 2])


def strength(data: Path) -> dict[str, Strength]:
    """Train on simulated runners and predict the published ones in `data`, by what is assumed."""
    specs, config = shipped_testspecs(), load_config()
    trained = component_data(
        simulated_runners(), specs, config.landmarks_h, {"power": SIMULATED_TEST}
    )["power"]
    asked = {f"Effort {rpe:g}": _ask(_runners(data, rpe)) for rpe in RACE_RPES}
    usual, lap = asked[f"Effort {RACE_RPES[0]:g}"], lap_error(data)
    asked[f"Effort {RACE_RPES[0]:g}, error of the laps' tests ({lap:.1f} %)"] = replace(
        usual, error=lap
    )
    known = np.all([_shared(one.X, trained.X) for one in asked.values()], axis=0)
    masked = replace(trained, X=np.where(known, trained.X, np.nan))
    model = fit_component(masked, specs, feature_contract(), config).model
    distance = trained.X[trained.starts, feature_contract().names.index("session_distance_m")]
    found = {}
    for assumed, one in asked.items():
        below = probabilities(model, replace(one, X=np.where(known, one.X, np.nan)))
        found[assumed] = Strength(
            one.observed,
            # A deficit is a change the other way, and so are its quantiles.
            -np.array([np.interp(LEVELS[::-1], p, LIMITS) for p in below.T]),
            -np.interp(LEVELS[::-1], below.mean(axis=1), LIMITS),
            int(known.sum()),
            int(np.sum(distance > LONG_M)),
        )
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """The runners at the end of the race: features, change 24 h later, a test's error and sex."""

    X: Floats
    observed: Floats
    error: float
    sex: Objects


def _ask(runners: Cohort) -> Asked:
    specs = shipped_testspecs()
    history = build_history(runners, tuple(sorted(specs)))
    episodes = find_episodes(history)
    queries = expand(at_landmarks(episodes, [0.0]), episodes, history, {"power": REAL_TEST})
    before, _, day_after = history.tests.columns["value"].reshape(-1, 3).T
    error = float(test_errors(history, specs)[0])
    sex = runners["athletes"].set_index("athlete_id")["sex"]
    return Asked(
        model_inputs(history, queries, specs),
        100.0 * (day_after / before - 1.0),
        error,
        np.array([sex[history.athlete_ids[a]] for a in queries.athlete], dtype=object),
    )


def lap_error(data: Path) -> float:
    """Return the typical error of a test during the race, per cent: scatter around a line.

    These four tests a runner are used for nothing else, so the error they show does not know the
    tests that are predicted. A runner's line takes two of the four degrees of freedom.
    """
    table = pd.read_csv(data / "landers_ramos" / "tidy.csv")
    laps = table[[f"strength_kg_lap{lap}" for lap in range(1, 5)]].to_numpy(np.float64)
    level = laps.mean(axis=1)
    slopes, _, _, _ = np.linalg.lstsq(LINE, laps.T, rcond=None)
    apart = 100.0 * (laps - (LINE @ slopes).T) / level[:, None]
    return float(np.sqrt((apart**2).sum() / (2 * len(laps))))


def probabilities(model: ComponentModel, runners: Asked) -> Floats:
    """Return P(deficit at 24 h reads below each of `LIMITS`), shape (n_limits, n_runners).

    The prior is the one that is served to athletes of a team that training did not see.
    """
    n, scaled = len(runners.X), runners.error * model.measurement.error_scale
    empty, teamless = no_tests(n), np.full(n, None, dtype=object)
    nothing = np.empty(0, np.int64)
    before = Past(
        no_tests(0), np.empty((0, 3)), np.zeros(n, np.int64), np.zeros(2, np.int64), nothing
    )
    offsets = athlete_offsets(model.offsets, model.grid, before, empty, teamless, teamless[:0])
    prior = prior_of(model, runners.X, empty, offsets, runners.sex)
    asked = Followed(
        np.arange(n + 1), np.full(n, TESTED_H), np.zeros(n), np.full(n, scaled),
        np.full(n, scaled), empty.baselines,
    )  # fmt: skip
    return np.stack(
        [probability_below(model.grid, prior.means, prior.spreads, asked, x) for x in LIMITS]
    )


def simulated_runners() -> Cohort:
    """Return runners who race now and then and whose strength is tested, with a dynamometer."""
    simulated = simulate(athletes=ATHLETES, days=DAYS, seed=SEED, config=_simulator())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "runners"
        write_cohort(out, name=simulated.name, timezone=simulated.timezone, tables=simulated.tables)
        return read_cohort(out)


def _simulator() -> SimulatorConfig:
    shipped = simulator_settings()
    week = shipped.sports["running"]
    race = next(slot for slot in week if slot.kind == "race")
    races = [
        race.model_copy(update={"archetype": archetype, "volume": volume, "planned": share})
        for archetype, volume, share in RACES
    ]
    training = [slot for slot in week if slot.kind == "training"]
    tests = {"isometric_share": 1.0, "isometric_probability": 1.0}
    return shipped.model_copy(
        update={
            "sports": {"running": (*races, *training)},
            "teams": shipped.teams.model_copy(update={"sports": ("running",)}),
            "tests": shipped.tests.model_copy(update=tests),
        }
    )


def _runners(data: Path, rpe: float) -> Cohort:
    ingested = SOURCES["landers_ramos"](data / "landers_ramos", IngestOptions({}))
    sessions = ingested.tables["sessions"].assign(session_rpe=rpe)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "runners"
        save(replace(ingested, tables={**ingested.tables, "sessions": sessions}), out)
        return read_cohort(out)


def _shared(real: Floats, simulated: Floats) -> Bools:
    """Return the columns that all `real` rows have, with values inside the range simulated."""
    seen = ~np.isnan(simulated).all(axis=0) & ~np.isnan(real).any(axis=0)
    known = np.zeros(seen.size, dtype=bool)
    low, high = np.nanmin(simulated[:, seen], axis=0), np.nanmax(simulated[:, seen], axis=0)
    known[seen] = ((low <= real[:, seen]) & (real[:, seen] <= high)).all(axis=0)
    return known
