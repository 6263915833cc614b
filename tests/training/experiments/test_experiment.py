from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from nmr_ml.bundle.bundle import MANIFEST, REGISTRATION, load_bundle
from nmr_ml.bundle.registry import resolve
from nmr_ml.cohort.folder import fingerprint
from nmr_ml.errors import DataError
from nmr_ml.predictions.golden import check_golden
from nmr_ml.runtime.home import home
from tests.support.small_cohorts import SPECS, measured, rested, session, small_cohort
from tests.support.training import SMALL
from training.config import load_config
from training.experiments.experiment import collect, describe, fit_components, train

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from tests.support.registered import Registry

CONFIG = load_config(None, SMALL)


@pytest.mark.slow
def test_the_same_data_and_seed_give_the_same_model(registry: Registry, tiny_bundle: Path) -> None:
    other = resolve(registry.latest)
    names = {file.name for file in tiny_bundle.iterdir()}
    assert {file.name for file in other.iterdir()} == names | {REGISTRATION}
    # The card says what it was trained on, and the manifest holds the card's hash.
    for name in names - {"card.json", MANIFEST}:
        assert (other / name).read_bytes() == (tiny_bundle / name).read_bytes(), name


@pytest.mark.slow
def test_a_trained_model_is_whole_and_says_what_it_learnt_from(
    registry: Registry, sim_cohort: Cohort, sim_cohort_path: Path
) -> None:
    trained = registry.trained
    bundle = load_bundle(resolve(trained.version))
    check_golden(bundle)
    assert bundle.digest == trained.digest
    assert bundle.card == trained.card
    assert trained.card["trained_on"] == [describe(sim_cohort_path, sim_cohort)]
    assert set(trained.skipped) == {"central"}
    assert set(bundle.components) == {"power", "coordination", "perceptual"}


def test_too_few_athletes_teach_nothing(sim_cohort: Cohort) -> None:
    config = load_config(None, ["least_athletes=17"])
    data = collect([sim_cohort], SPECS, config)
    with pytest.raises(DataError) as caught:
        fit_components(data, SPECS, config, progress=lambda _: None)
    assert caught.value.code == "nothing_learnt"
    assert "of 16 athletes" in caught.value.message
    assert "perceptual: " in caught.value.message
    assert not (home() / "mlflow.db").exists()


def test_cohorts_with_different_index_tests_do_not_teach_one_component() -> None:
    config = load_config(None, ["least_athletes=2", "least_episodes=1"])
    cohorts = [
        small_cohort([session(0)], [*rested([40.0] * 3, test=test), measured(24, 38.0, test=test)])
        for test in ("cmj_height", "grip")
    ]
    with pytest.raises(DataError, match=r"different index tests \(cmj_height, grip\)"):
        fit_components(collect(cohorts, SPECS, config), SPECS, config, progress=lambda _: None)


def test_episodes_of_several_cohorts_are_collected(sim_cohort: Cohort) -> None:
    once, twice = (collect([sim_cohort] * n, SPECS, CONFIG) for n in (1, 2))
    assert set(once) == set(twice) >= {"power", "coordination", "perceptual"}
    assert all(len(twice[name]) == 2 for name in twice)


def test_a_cohort_without_tests_is_refused_before_anything_is_fitted(
    sim_cohort_path: Path, tmp_path: Path
) -> None:
    shutil.copytree(sim_cohort_path, tmp_path / "some")
    (tmp_path / "some" / "tests.parquet").unlink()
    with pytest.raises(DataError) as caught:
        train([tmp_path / "some"], CONFIG)
    assert caught.value.code == "table_missing"


def test_the_fingerprint_is_of_the_data_and_of_nothing_else(
    sim_cohort_path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sim_cohort_path, copy)
    (copy / "quarantine").mkdir()
    (copy / "quarantine" / "tests.csv").write_text("x")
    (copy / "truth.parquet").unlink()
    assert fingerprint(copy) == fingerprint(sim_cohort_path)
    tests = copy / "tests.parquet"
    tests.write_bytes(tests.read_bytes() + b"x")
    assert fingerprint(copy) != fingerprint(sim_cohort_path)


def test_the_bundle_lacks_what_was_skipped(bundle: Bundle) -> None:
    assert "central" not in bundle.components
