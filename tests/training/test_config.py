from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nmr_ml.errors import UsageError
from nmr_ml.runtime.home import home
from training.config import TrainConfig, load_config

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_configuration_is_valid() -> None:
    config = load_config()
    assert config.landmarks_h == (0.0, 24.0, 48.0)
    assert config.trees().max_rounds == config.max_rounds
    assert config.trees().seed == config.seed


def test_a_file_overrides_the_shipped_one_and_a_setting_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("folds: 3\nseed: 7\n")
    shipped = load_config()
    config = load_config(file, ["seed=8", "landmarks_h=[0, 12]", " max_bin =63"])
    assert (config.folds, config.seed, config.landmarks_h, config.max_bin) == (3, 8, (0, 12), 63)
    unchanged = set(TrainConfig.model_fields) - {"folds", "seed", "landmarks_h", "max_bin"}
    assert all(getattr(config, n) == getattr(shipped, n) for n in unchanged)


def test_the_home_folder_overrides_the_shipped_file() -> None:
    shipped = load_config()
    local = home() / "configs" / "train.yaml"
    local.parent.mkdir(parents=True)
    content = shipped.model_dump(mode="json") | {"folds": 7}
    local.write_text("\n".join(f"{key}: {value}" for key, value in content.items()))
    assert load_config() == shipped.model_copy(update={"folds": 7})


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("fold=3", "fold is not a known key"),  # an unknown key
        ("folds", "has no value"),
        ("folds=1", "folds: "),
        ("folds=many", "folds: "),
        ("folds=", "folds: "),
        ("learning_rate=0", "learning_rate: "),
        ("learning_rate=1.5", "learning_rate: "),
        ("lambda_l2=.nan", "lambda_l2: "),
        ("least_athletes=1", "least_athletes: "),
        ("landmarks_h=[]", "landmarks_h: "),
        ("landmarks_h=[0, -24]", "landmarks_h.1: "),
        ("landmarks_h=[0, 24", "no YAML"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(setting: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(None, [setting])
    assert caught.value.code == "config_invalid"
    assert said in caught.value.message


def test_an_unknown_key_in_a_file_is_named_with_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("folds: 3\nlearning_rte: 0.1\n")
    with pytest.raises(UsageError) as caught:
        load_config(file)
    assert caught.value.code == "config_invalid"
    assert "learning_rte" in caught.value.message
    assert "learning_rate" in caught.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "none.yaml")
    assert caught.value.code == "config_unreadable"
