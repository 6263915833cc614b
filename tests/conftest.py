"""What many tests share: the real data where it is, a small simulated cohort, a small model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nmr_ml.runtime import telemetry
from tests.support.training import SMALL

telemetry.switch_off()

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from tests.support.registered import Registry
    from training.experiments.experiment import Trained


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a state folder of its own, and no settings of the person who runs it."""
    monkeypatch.setenv("NMR_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("NMR_API_TOKEN", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sim_cohort_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated cohort on disk: 16 athletes, 75 days."""
    from nmr_ml.cohort.writer import write_cohort
    from nmr_ml.simulator import simulate

    simulated = simulate(athletes=16, days=75, seed=11)
    path = tmp_path_factory.mktemp("cohorts") / "sim"
    write_cohort(
        path,
        name=simulated.name,
        timezone=simulated.timezone,
        tables=simulated.tables,
        truth=simulated.truth,
    )
    return path


@pytest.fixture(scope="session")
def sim_cohort(sim_cohort_path: Path) -> Cohort:
    """The same cohort, read."""
    from nmr_ml.cohort.reader import read_cohort

    return read_cohort(sim_cohort_path)


@pytest.fixture(scope="session")
def tiny_bundle(sim_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real, quickly trained bundle."""
    from nmr_ml.bundle.bundle import save_bundle
    from nmr_ml.recovery_tests import load_testspecs
    from training.config import load_config
    from training.experiments.experiment import assemble, collect, fit_components
    from training.fitting.availability import absence_data, fit_availability
    from training.fitting.readings import fit_readings

    config = load_config(None, SMALL)
    specs = load_testspecs()
    data = collect([sim_cohort], specs, config)
    fitted, _ = fit_components(data, specs, config, progress=lambda _: None)
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    availability = fit_availability([absence_data(sim_cohort, specs)], config)
    readings = fit_readings([sim_cohort], data, fitted, specs, config)
    save_bundle(assemble(fitted, specs, config, [], availability, readings), path)
    return path


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    """The same bundle, loaded."""
    from nmr_ml.bundle.bundle import load_bundle

    return load_bundle(tiny_bundle)


@pytest.fixture(scope="session")
def trained_home(
    sim_cohort_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Trained]:
    """A state folder in which the small cohort was trained on once, and what came of it."""
    from training.config import load_config
    from training.experiments.experiment import train

    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMR_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return home, train([sim_cohort_path], load_config(None, SMALL))


@pytest.fixture
def registry(trained_home: tuple[Path, Trained], bundle: Bundle, tmp_path: Path) -> Registry:
    """That model's registry, copied to the test's own state folder."""
    from nmr_ml.runtime.home import home
    from tests.support.registered import Registry
    from training.config import load_config

    home().mkdir(parents=True, exist_ok=True)
    shutil.copy(trained_home[0] / "mlflow.db", home())
    return Registry(trained_home[1], load_config(None, SMALL), bundle, tmp_path / "bundles")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of published athlete data; it is not part of the project."""
    path = Path(__file__).parents[1].parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real athlete data at {path}")
    return path
