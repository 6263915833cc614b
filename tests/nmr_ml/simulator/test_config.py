"""Settings of the simulator: what is refused, and what options change."""

from __future__ import annotations

import pytest

from nmr_ml.errors import UsageError
from nmr_ml.simulator.config import load_config, shipped_config


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("tests.morning=2", "config_invalid"),
        ("nothing.at.all=2", "config_invalid"),
        ("trials_n=many", "config_invalid"),
        ("trials_n=0", "config_invalid"),
        ("test_probability=1.2", "config_invalid"),
        ("teams.sports=[chess]", "config_invalid"),
        ("trials_n", "setting_invalid"),
        ("=3", "setting_invalid"),
        ("trials_n=[1", "setting_invalid"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(settings=[setting])
    assert caught.value.code == code


def test_settings_reach_their_place() -> None:
    config = load_config(settings=["tests.mornings=2", "test_error_pct=4.0"])
    assert config.tests.mornings == 2
    assert config.test_error_pct == 4.0
    assert config.labs == shipped_config().labs


def test_damage_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(UsageError, match=r"sum to 1\.5"):
        load_config(settings=["archetypes.jumps.damage={jumps_n: 1.5}"])


def test_the_second_dip_has_its_own_weights() -> None:
    plain, dipping = load_config(), load_config(settings=["second_dip=true"])
    assert plain.weights().power_j == 0.0
    assert dipping.weights().power_j > 0.0
    assert dipping.weights().power_c == plain.weights().power_c
