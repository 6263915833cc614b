"""What a model has to beat, fitted on the same folds: from one curve for all to a linear model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nmr_ml.models.curve.population import fit_population
from nmr_ml.models.curve.target import OUTPUTS
from nmr_ml.numeric.arrays import RowWise, owners
from training.baselines.linear_curve import LinearCurve, fit_linear
from training.scoring.forecasts import CurvePriors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.features.contract import FeatureContract
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.population import Population
    from nmr_ml.numeric.arrays import Floats, Ints, Objects, Singles
    from training.data.dataset import ComponentData


MODALITY = "modality_median"
OVERALL = "overall_median"
LOOKUP = "load_lookup"
DECAY = "banister_decay"
LINEAR = "linear"
PERSISTENCE = "persistence"
#: The name under which a group of every modality it has not seen is kept.
ANY = "*"
#: A modality with fewer episodes is looked up by load among all of them.
LEAST_LOOKUP = 60
LOOKUP_CYCLES = 20
#: Ridge penalties that the linear model chooses from, in episodes.
PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
#: Enough to keep a load that is the same everywhere from dividing by zero.
NO_PENALTY = 1e-3


@dataclass(frozen=True, slots=True)
class Starts(RowWise):
    """What the baselines see of episodes at their clock starts.

    Parameters
    ----------
    X : float64 array, shape (n, n_features)
        In the order of `contract`.
    modality : object array of str, shape (n,)
    contract : FeatureContract
    """

    SHARED: ClassVar[frozenset[str]] = frozenset({"contract"})

    X: Floats
    modality: Objects
    contract: FeatureContract

    @classmethod
    def of(cls, data: ComponentData, contract: FeatureContract) -> Starts:
        """Return what is seen of the episodes of `data`, whose features are those of `contract`."""
        return cls(np.ascontiguousarray(data.X[data.starts]), data.modality, contract)

    def column(self, name: str) -> Floats:
        """Return one feature, shape (n,)."""
        return np.asarray(self.X[:, self.contract.names.index(name)])

    @property
    def log_load(self) -> Floats:
        """Log of 1 + the session load, shape (n, 1): a load of 0 is a load."""
        return np.log1p(self.column("session_load_au"))[:, None]

    @property
    def last_deficit(self) -> Floats:
        """Deficit of the last test before each episode, 0 (the baseline) where there is none."""
        return np.nan_to_num(self.column("index_deficit_last"))

    @property
    def linear_features(self) -> Floats:
        """The features, each category as one column per word, shape (n, n_columns)."""
        columns = []
        for values, words in zip(self.X.T, self.contract.categories, strict=True):
            if words:
                columns += [np.where(np.isnan(values), np.nan, values == i)
                            for i in range(len(words))]  # fmt: skip
            else:
                columns.append(values)
        return np.column_stack(columns)


@dataclass(frozen=True, slots=True)
class Thirds:
    """Curves of light, middling and heavy sessions.

    Parameters
    ----------
    cuts : float64 array, shape (2,)
        Session loads between the thirds.
    means, spreads : float64 arrays, shape (3, 3)
    """

    cuts: Floats
    means: Floats
    spreads: Floats

    def of(self, load: Floats) -> Ints:
        """Return the third of each load, 0 to 2."""
        return np.digitize(load, self.cuts)


@dataclass(frozen=True, slots=True)
class RivalCurves:
    """Fitted baselines of one component.

    Parameters
    ----------
    by_modality : mapping of modality to (mean, spread), each of shape (3,)
        The distribution of curves by modality; its recovery time is the median by modality. `ANY`
        stands for the rest, and is the overall median.
    by_load : mapping of modality to Thirds
        Load lookup; modalities with few episodes are looked up under `ANY`.
    decay : LinearCurve
        Linear in the log load: a session as an impulse that decays,
        after Banister's impulse-response model.
    linear : LinearCurve
        The same in every feature, with ridge.
    persistence_sd : float
        Spread of a test around the last one before the episode, on the component's scale.
    """

    by_modality: Mapping[str, tuple[Floats, Floats]]
    by_load: Mapping[str, Thirds]
    decay: LinearCurve
    linear: LinearCurve
    persistence_sd: float

    def priors(self, starts: Starts) -> dict[str, CurvePriors]:
        """Return what each baseline but persistence says of the curves, by method."""
        everyone = np.full(len(starts), ANY, dtype=object)
        return {
            MODALITY: self.of_modality(starts.modality),
            OVERALL: self.of_modality(everyone),
            LOOKUP: self._looked_up(starts),
            DECAY: self.decay.priors(starts.log_load),
            LINEAR: self.linear.priors(starts.linear_features),
        }

    def of_modality(self, modality: Objects) -> CurvePriors:
        """Return the distribution of curves by modality."""
        curves = [self.by_modality.get(m, self.by_modality[ANY]) for m in modality]
        means, spreads = (np.array(part).reshape(-1, OUTPUTS) for part in zip(*curves, strict=True))
        return CurvePriors(means, spreads)

    def _looked_up(self, starts: Starts) -> CurvePriors:
        load = starts.column("session_load_au")
        known = np.array([m if m in self.by_load else ANY for m in starts.modality], dtype=object)
        means, spreads = np.empty((2, len(starts), OUTPUTS))
        for name in dict.fromkeys(known):
            rows, thirds = np.flatnonzero(known == name), self.by_load[name]
            third = thirds.of(load[rows])
            means[rows], spreads[rows] = thirds.means[third], thirds.spreads[third]
        return CurvePriors(means, spreads)

    def as_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        return {
            "by_modality": {k: [m.tolist(), s.tolist()] for k, (m, s) in self.by_modality.items()},
            "by_load": {
                k: [t.cuts.tolist(), t.means.tolist(), t.spreads.tolist()]
                for k, t in self.by_load.items()
            },
            "decay": self.decay.as_json(),
            "linear": self.linear.as_json(),
            "persistence_sd": self.persistence_sd,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RivalCurves:
        """Read what `as_json` returned."""
        return cls(
            {k: (np.array(m), np.array(s)) for k, (m, s) in content["by_modality"].items()},
            {k: Thirds(*map(np.array, parts)) for k, parts in content["by_load"].items()},
            LinearCurve.from_json(content["decay"]),
            LinearCurve.from_json(content["linear"]),
            content["persistence_sd"],
        )


def fit_baselines(
    starts: Starts, table: Singles, top: Floats, grid: CurveGrid, followed: Followed,
    athlete: Objects,
) -> RivalCurves:  # fmt: skip
    """Fit the baselines to labelled episodes, all arguments having one entry for each.

    Parameters
    ----------
    table, top
        From `nmr_ml.models.curve.likelihood.likelihood_tables`, of `followed` as the component's
        tests are read.
    athlete : object array of str
        Folds by athlete choose the linear model's penalty.
    """
    names, group = np.unique(starts.modality.astype(str), return_inverse=True)
    by_name = fit_population(table, top, grid, group.astype(np.int64))
    pooled = fit_population(table, top, grid, np.zeros(group.size, np.int64))
    groups = {n: (by_name.mean[i], by_name.spread[i]) for i, n in enumerate(names.tolist())}
    groups[ANY] = (pooled.mean[0], pooled.spread[0])
    everyone = CurvePriors(*(np.tile(part, (len(starts), 1)) for part in groups[ANY]))
    modality = CurvePriors(by_name.mean[group], by_name.spread[group])
    owner = owners(followed.offsets)
    change = followed.deficit - starts.last_deficit[owner]
    return RivalCurves(
        groups,
        _by_load(starts, table, top, grid),
        fit_linear(starts.log_load, table, grid, everyone, athlete, [NO_PENALTY]),
        fit_linear(starts.linear_features, table, grid, modality, athlete, PENALTIES),
        float(np.sqrt(np.mean(change**2))),
    )


def _by_load(starts: Starts, table: Singles, top: Floats, grid: CurveGrid) -> dict[str, Thirds]:
    """Fit the load lookup: thirds of all sessions, and of those of each frequent modality."""
    load, modality = starts.column("session_load_au"), starts.modality.astype(str)
    names, counts = np.unique(modality, return_counts=True)
    frequent = names[counts >= LEAST_LOOKUP].tolist()
    cuts = {ANY: _cuts(load), **{n: _cuts(load[modality == n]) for n in frequent}}
    third = np.digitize(load, cuts[ANY])
    overall = fit_population(table, top, grid, third, cycles=LOOKUP_CYCLES)
    group = third.copy()  # what is not frequent stays with the thirds of all sessions
    for i, name in enumerate(frequent, start=1):
        of_name = modality == name
        group[of_name] = 3 * i + np.digitize(load[of_name], cuts[name])
    fitted = fit_population(table, top, grid, group, cycles=LOOKUP_CYCLES)
    found = {ANY: _thirds(cuts[ANY], overall, 0)}
    return found | {n: _thirds(cuts[n], fitted, 3 * i) for i, n in enumerate(frequent, start=1)}


def _cuts(load: Floats) -> Floats:
    return np.asarray(np.quantile(load, [1 / 3, 2 / 3]))


def _thirds(cuts: Floats, population: Population, first: int) -> Thirds:
    """Return three groups of `population`; one without a session is like the whole of it."""
    return Thirds(cuts, population.mean[first : first + 3], population.spread[first : first + 3])
