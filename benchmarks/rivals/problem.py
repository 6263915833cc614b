"""Simulated episodes with tests, features and true recovery times, kept on disk between runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.history.rested_baseline import Baselines
from nmr_ml.labels.followed_tests import Followed
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import load_config, simulate
from training.data.dataset import ComponentData, Facts, component_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import Component, TestSpec


COMPONENT: Component = "power"
INDEX_TEST = "cmj_height"
LANDMARKS_H = (0.0, 24.0, 48.0)
#: Columns of words of an episode.
WORDS = ("athlete", "team", "episode_id", "modality")
#: Test athletes come from this seed further on, so that no cohort shares a stream with another.
TEST_SEED_SHIFT = 500_000


@dataclass(frozen=True, slots=True)
class Origin:
    """What a cohort is simulated from; `settings` are those of ``nmr simulate --set``."""

    athletes: int
    days: int
    seed: int
    test_error_pct: float
    profile: str = "evidence"
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """Episodes of one cohort.

    Parameters
    ----------
    data : ComponentData
        Every exertion episode with a known load, at 0, 24 and 48 h, labelled or not.
    truth_h : float64 array, shape (n_episodes,), h
    """

    data: ComponentData
    truth_h: Floats

    def __len__(self) -> int:
        return int(self.truth_h.size)

    @property
    def X(self) -> Floats:  # noqa: N802  the matrix of features
        """Features at the clock start, one row per episode."""
        return np.ascontiguousarray(self.data.X[self.data.starts])

    @property
    def facts(self) -> Facts:
        """What scores are split by."""
        assert self.data.facts is not None
        return self.data.facts

    @property
    def labelled(self) -> Bools:
        """Whether an episode has tests in its follow-up and a baseline to compare them with."""
        return np.asarray(np.diff(self.data.followed.offsets) > 0)

    def take(self, episodes: Ints) -> Side:
        """Return the side with `episodes`, in that order."""
        d = self.data
        position = np.full(len(self), -1)
        position[episodes] = np.arange(episodes.size)
        rows = np.flatnonzero(position[d.row_episode] >= 0)
        data = ComponentData(
            d.component, d.index_test, d.X[rows], d.landmark_h[rows],
            position[d.row_episode[rows]], d.followed.take(episodes), d.athlete[episodes],
            d.team[episodes], d.clock_start_s[episodes], d.episode_id[episodes],
            d.modality[episodes], self.facts.take(episodes),
        )  # fmt: skip
        return Side(data, self.truth_h[episodes])


def strangers(side: Side) -> Side:
    """Return `side` without its teams: the simulator gives other teams the names of those known."""
    nobody = np.full(len(side), None, dtype=object)
    return replace(side, data=replace(side.data, team=nobody))


def make_side(origin: Origin, folder: Path) -> Side:
    """Simulate `origin` and build its features, or read what an earlier run kept in `folder`."""
    layout = [_names(kind) for kind in (ComponentData, Followed, Baselines, Facts)]
    key = json.dumps([asdict(origin), feature_contract().hash, layout])
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _save(_simulated(origin), path)
    return _load(path)


def specs_for(test_error_pct: float, *, wrong_by: float = 1.0) -> Mapping[str, TestSpec]:
    """Return the test catalogue with the index test's error as simulated, times `wrong_by`."""
    specs = dict(shipped_testspecs())
    spec = specs[INDEX_TEST]
    usual = float(spec.typical_error(np.array([float(spec.trials_n)]))[0])
    factor = test_error_pct / usual * wrong_by
    specs[INDEX_TEST] = spec.model_copy(
        update={"between_day_te": spec.between_day_te * factor, "trial_te": spec.trial_te * factor}
    )
    return specs


def with_errors(side: Side, factor: float) -> Side:
    """Return `side` as it is where the configured error of the test is `factor` times as large."""
    followed = side.data.followed
    scaled = replace(
        followed, error=followed.error * factor, shared_error=followed.shared_error * factor
    )
    return replace(side, data=replace(side.data, followed=scaled))


def _simulated(origin: Origin) -> Side:
    settings = (f"test_error_pct={origin.test_error_pct}", *origin.settings)
    made = simulate(
        athletes=origin.athletes, days=origin.days, profile=origin.profile,  # type: ignore[arg-type]
        seed=origin.seed, config=load_config(settings=settings),
    )  # fmt: skip
    cohort, _ = canonical_cohort(made.name, made.timezone, made.tables, now=datetime.now(UTC))
    data = component_data(
        cohort, specs_for(origin.test_error_pct), LANDMARKS_H, {COMPONENT: INDEX_TEST},
        unlabelled=True,
    )[COMPONENT]  # fmt: skip
    truth = made.truth[made.truth["component"] == COMPONENT].set_index("episode_id")["recovery_h"]
    return Side(data, truth.reindex(data.episode_id).to_numpy(np.float64))


def _save(side: Side, path: Path) -> None:
    d = side.data
    arrays = {name: getattr(d, name) for name in ("X", "landmark_h", "row_episode", *WORDS)}
    arrays |= {"clock_start_s": d.clock_start_s, "truth_h": side.truth_h}
    for prefix, part in (("f", d.followed), ("b", d.followed.baselines), ("s", side.facts)):
        arrays |= {f"{prefix}.{n}": getattr(part, n) for n in _names(type(part))}
    words = {n: a.astype(str) for n, a in arrays.items() if a.dtype == object}
    np.savez(path, **(arrays | words))


def _load(path: Path) -> Side:
    with np.load(path) as z:
        arrays = {n: z[n].astype(object) if z[n].dtype.kind == "U" else z[n] for n in z.files}

    def part(prefix: str, kind: type) -> dict[str, Any]:
        return {name: arrays.pop(f"{prefix}.{name}") for name in _names(kind)}

    baselines = Baselines(**part("b", Baselines))
    followed = Followed(**part("f", Followed), baselines=baselines)
    facts, truth_h = Facts(**part("s", Facts)), arrays.pop("truth_h")
    data = ComponentData(COMPONENT, INDEX_TEST, followed=followed, facts=facts, **arrays)
    return Side(data, truth_h)


def _names(kind: type) -> list[str]:
    """Return the fields of `kind` that are arrays."""
    return [field.name for field in fields(kind) if field.name not in {"baselines", "family"}]
