from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.bundle.bundle import MANIFEST, REGISTRATION, load_bundle, save_bundle
from nmr_ml.errors import DataError
from nmr_ml.models.curve.family_scale import FamilyScale
from nmr_ml.models.curve.grid import CurveGrid

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle


def test_a_bundle_survives_saving_and_loading(bundle: Bundle, tmp_path: Path) -> None:
    digest = save_bundle(bundle, tmp_path / "again")
    again = load_bundle(tmp_path / "again")
    assert digest == again.digest == bundle.digest
    X = np.random.default_rng(0).normal(size=(20, len(bundle.contract.names)))
    for name, model in bundle.components.items():
        other = again.components[name]
        assert np.array_equal(model.curve.means(X), other.curve.means(X))
        for part in CurveGrid.__slots__:
            expected, found = getattr(model.grid, part), getattr(other.grid, part)
            assert np.array_equal(expected, found)
            assert expected.dtype == found.dtype  # levels are positions
        assert np.array_equal(model.seen_low, other.seen_low, equal_nan=True)
        assert model.measurement == other.measurement


def test_the_scales_of_other_tests_are_kept(bundle: Bundle, tmp_path: Path) -> None:
    scale = FamilyScale(0.4, 0.05, 0.7, 25, 300)
    power = bundle.components["power"]
    measurement = replace(power.measurement, family={"sprint_10m": scale})
    components = {**bundle.components, "power": replace(power, measurement=measurement)}
    save_bundle(replace(bundle, components=components), tmp_path / "again")
    again = load_bundle(tmp_path / "again")
    assert again.components["power"].measurement == measurement
    assert "sprint_10m" in again.other_tests


@pytest.mark.parametrize("change", ["edit", "remove", "add"])
def test_an_altered_bundle_is_refused(tiny_bundle: Path, tmp_path: Path, change: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    file = copy / "card.json"
    if change == "edit":
        file.write_text(file.read_text() + " ")
    elif change == "remove":
        file.unlink()
    else:
        (copy / "extra.pkl").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        load_bundle(copy)
    assert caught.value.code == "bundle_altered"
    assert ("extra.pkl" if change == "add" else "card.json") in caught.value.message


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=MANIFEST):
        load_bundle(tmp_path)


def test_the_version_is_the_registrys_or_the_contents(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    loaded = load_bundle(copy)
    assert loaded.version == f"sha-{loaded.digest[:12]}"
    (copy / REGISTRATION).write_text(json.dumps({"name": "nmr", "version": "7"}))
    assert load_bundle(copy).version == "7"


def test_a_bundle_holds_data_and_no_code(tiny_bundle: Path) -> None:
    assert {file.suffix for file in tiny_bundle.iterdir()} <= {".json", ".txt"}
