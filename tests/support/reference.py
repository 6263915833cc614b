"""A small trained bundle, three athletes and its answers about them, kept as data.

A change that moves a number is seen by `tests/nmr_ml/predictions/test_reference.py`. Where it is
meant, renew the data and say in the change log what moved and why::

    python -m tests.support.reference          # the answers of the bundle that is there
    python -m tests.support.reference train    # a new bundle too, where its format changed
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from nmr_ml.bundle.bundle import load_bundle, save_bundle
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from serving.answers.encoding import table
from tests.support.training import SMALL

if TYPE_CHECKING:
    import pandas as pd

    from nmr_ml.predictions.predict import Predictions

FOLDER = Path(__file__).parents[1] / "data" / "reference"
BUNDLE, COHORT, ANSWERS = FOLDER / "bundle", FOLDER / "cohort", FOLDER / "answers.parquet"
ATHLETES, DAYS, SEED = 16, 75, 11
KEPT_ATHLETES = 3
#: What `GET /v1/model` shows of a card; the figures of the report are left out.
CARD = ("trained_on", "intended_use", "limits")
OPTIONS = Options(landmarks_h=(0.0, 36.0), deltas={"power": 3.0}, risk=0.1)


def answered() -> Predictions:
    """Return what the reference bundle answers now."""
    return predict(load_bundle(BUNDLE), read_cohort(COHORT), OPTIONS)


def kept() -> pd.DataFrame:
    """Return what it answered when the data was written."""
    frame: pd.DataFrame = pq.read_table(ANSWERS).to_pandas()
    return frame


def write_answers() -> None:
    """Write what the bundle answers now."""
    pq.write_table(table(answered().frame), ANSWERS, compression="zstd")


def train() -> None:
    """Train the bundle anew, in a state folder of its own, and write it with its athletes."""
    import os

    from nmr_ml.bundle.registry import resolve
    from nmr_ml.simulator import simulate
    from training.config import load_config
    from training.experiments import experiment

    squad = simulate(athletes=ATHLETES, days=DAYS, seed=SEED)
    whole: dict[str, Any] = {"name": squad.name, "timezone": squad.timezone}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NMR_HOME"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        path = Path(folder) / "cohort"
        write_cohort(path, tables=squad.tables, truth=squad.truth, **whole)
        experiment.train([path], load_config(None, SMALL))
        bundle = load_bundle(resolve("candidate"))
        card = {name: bundle.card[name] for name in CARD}
        save_bundle(replace(bundle, card={**card, "components": {}}), BUNDLE)
    ids = sorted(squad.tables["athletes"]["athlete_id"])[:KEPT_ATHLETES]
    some = {n: frame[frame["athlete_id"].isin(ids)] for n, frame in squad.tables.items()}
    write_cohort(COHORT, tables=some, fmt="parquet", **whole)


if __name__ == "__main__":
    if sys.argv[1:] == ["train"]:
        train()
    write_answers()
