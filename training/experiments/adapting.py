"""Teach a model a team from elsewhere by a few labelled athletes, without refitting it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.bundle.bundle import load_bundle, save_bundle
from nmr_ml.bundle.registry import resolve
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.errors import DataError
from nmr_ml.models.component.fit_offsets import fit_team
from nmr_ml.models.component.offsets import ANY_TEAM
from nmr_ml.predictions.golden import golden_rows
from training.config import TrainConfig
from training.data.dataset import component_data
from training.experiments.experiment import describe
from training.experiments.tracking import log_experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.models.component.offsets import Team
    from training.data.dataset import ComponentData

#: Athletes with a labelled episode below which a team's offset would be a guess.
LEAST_TEAM_ATHLETES = 2


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model that has learnt teams.

    Parameters
    ----------
    version, run_id : str
        In the registry; the alias ``candidate`` now names the version.
    teams : mapping of component to mapping of team to JSON
        Offsets with the number of athletes and episodes behind them.
    """

    version: str
    run_id: str
    teams: Mapping[str, Mapping[str, Any]]


def adapt(path: Path, reference: str = "champion") -> Adapted:
    """Learn the teams of the cohort at `path`, and register the model that knows them.

    Raises
    ------
    DataError
        From resolving and reading, or ``too_few_labelled_athletes``.
    OutsideError
        ``registry_unreachable``.
    """
    bundle = load_bundle(resolve(reference))
    cohort = read_cohort(path, required=("athletes", "sessions", "tests"))
    adapted, teams = learn_teams(bundle, cohort)
    learnt = {**describe(path, cohort), "base_version": bundle.version, "teams": teams}
    card = {**bundle.card, "adapted_to": [*bundle.card.get("adapted_to", []), learnt]}
    adapted = replace(adapted, card=card)
    adapted = replace(adapted, golden=golden_rows(adapted))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        digest = save_bundle(adapted, folder)
        config = TrainConfig.model_validate(card["config"])
        run_id, version = log_experiment(folder, card, config, card["trained_on"], digest)
    return Adapted(version, run_id, teams)


def learn_teams(bundle: Bundle, cohort: Cohort) -> tuple[Bundle, dict[str, dict[str, Any]]]:
    """Return `bundle` with the teams of `cohort`, and what was learnt of them.

    Athletes without a team make up one together, which then also stands for every team that is
    not known.

    Raises
    ------
    DataError
        ``too_few_labelled_athletes``.
    """
    chosen = {name: model.index_test for name, model in bundle.components.items()}
    data = component_data(cohort, bundle.specs, [0.0], chosen)
    components, told = dict(bundle.components), {}
    for name, part in data.items():
        found = _teams(bundle.components[name], part)
        if not found:
            continue
        offsets = bundle.components[name].offsets
        teams = {**offsets.teams, **{team: learnt for team, (learnt, _) in found.items()}}
        offsets = replace(offsets, teams=teams)
        components[name] = replace(bundle.components[name], offsets=offsets)
        told[name] = {
            team: {**offsets.as_json()["teams"][team], **counts}
            for team, (_, counts) in found.items()
        }
    if not told:
        raise DataError(
            "too_few_labelled_athletes",
            f"No team of {cohort.name} has {LEAST_TEAM_ATHLETES} athletes with a labelled episode "
            "of a component that the model learnt.",
            "Add tests after sessions and at least 3 rested tests before them.",
        )
    return replace(bundle, components=components), told


def _teams(model: ComponentModel, data: ComponentData) -> dict[str, tuple[Team, dict[str, int]]]:
    followed = model.measurement.read(data.followed)
    means = np.ascontiguousarray(model.curve.means(data.X[data.starts]))
    names = np.array([ANY_TEAM if team is None else str(team) for team in data.team], object)
    found = {}
    for name in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == name)
        athletes_n = len(set(data.athlete[rows].tolist()))
        if athletes_n >= LEAST_TEAM_ATHLETES:
            team = fit_team(
                model.offsets, followed.take(rows), model.grid, means[rows], data.athlete[rows]
            )
            found[name] = (team, {"athletes_n": athletes_n, "episodes_n": int(rows.size)})
    return found
