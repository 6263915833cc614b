"""A saved model: LightGBM text and JSON, each file under its SHA-256; data, never code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np

from nmr_ml.errors import DataError
from nmr_ml.features.contract import FeatureContract, feature_contract
from nmr_ml.models.availability.model import AvailabilityModel
from nmr_ml.models.component.calibration import Calibration
from nmr_ml.models.component.clearance import Clearance
from nmr_ml.models.component.model import ComponentModel
from nmr_ml.models.component.offsets import OffsetPrior
from nmr_ml.models.curve.store import read_curve, write_curve
from nmr_ml.models.readings.model import ReadingModel
from nmr_ml.numeric.memo import Memo
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS, TestSpec
from nmr_ml.runtime.home import writing_folder
from nmr_ml.runtime.replacement import restored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nmr_ml.models.curve.read_off import ReadOff
    from nmr_ml.numeric.arrays import Floats
    from nmr_ml.recovery_tests import Component


FORMAT = 6
MODEL_NAME = "nmr"
MANIFEST = "manifest.json"
TREES_OF_ABSENCES = "availability.lgb.txt"
#: Written beside the manifest by the registry when it hands out a version; it is an identity, not
#: content, so the manifest does not cover it.
REGISTRATION = "registration.json"
REMEDY = (
    "Take a bundle that `nmr train` wrote, unchanged; a folder under $NMR_HOME/models can be "
    "deleted and is then fetched again."
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model.

    Parameters
    ----------
    components : mapping of str to ComponentModel
        By component name, in the order of `nmr_ml.recovery_tests.COMPONENTS`.
    specs : mapping of str to TestSpec
        The test catalogue it was trained with.
    contract : FeatureContract
    card, golden : mapping
        As they stand in the JSON files of the same names.
    availability : AvailabilityModel
        Of injury and systemic episodes.
    readings : mapping of component to ReadingModel
        What the next test will show.
    digest : str
        SHA-256 over the manifest: the identity of the content.
    version : str
        The registry's number, or ``sha-`` and the start of `digest` for a folder.
    tables : Memo of ReadOff
        What was tabulated for a component, δ and hours is kept for the next prediction.
    """

    components: Mapping[str, ComponentModel]
    specs: Mapping[str, TestSpec]
    contract: FeatureContract
    card: Mapping[str, Any]
    golden: Mapping[str, Any]
    availability: AvailabilityModel
    readings: Mapping[str, ReadingModel] = field(default_factory=dict)
    digest: str = ""
    version: str = ""
    tables: Memo[ReadOff] = field(default_factory=Memo, repr=False, compare=False)

    @property
    def model_name(self) -> str:
        """The name of the registered model."""
        return MODEL_NAME

    @property
    def model_version(self) -> str:
        """Same as `version`."""
        return self.version

    @property
    def other_tests(self) -> tuple[str, ...]:
        """Tests beside the index tests that inform a component."""
        told = {name for model in self.components.values() for name in model.measurement.told}
        return tuple(sorted(told))

    @property
    def contract_hash(self) -> str:
        """SHA-256 of the feature contract."""
        return self.contract.hash


def save_bundle(bundle: Bundle, path: Path) -> str:
    """Write `bundle` to the folder `path`, whole or not at all, and return its digest."""
    with writing_folder(path) as folder:
        if bundle.availability.trees is not None:
            text = bundle.availability.trees.booster.model_to_string()
            (folder / TREES_OF_ABSENCES).write_text(text, encoding="utf-8")
        for name, reading in bundle.readings.items():
            for part in ("centre", "width"):
                text = getattr(reading, part).model_to_string()
                (folder / f"{name}.reading_{part}.lgb.txt").write_text(text, encoding="utf-8")
        components = {n: _component_json(folder, m) for n, m in bundle.components.items()}
        specs = {name: spec.model_dump(mode="json") for name, spec in bundle.specs.items()}
        (folder / "contract.json").write_text(bundle.contract.to_json(), encoding="utf-8")
        for name, content in {
            "components": components,
            "tests": specs,
            "calibration": {n: _calibration_json(m) for n, m in bundle.components.items()},
            "adaptation": {n: m.offsets.as_json() for n, m in bundle.components.items()},
            AVAILABILITY: bundle.availability.as_json(),
            "readings": {n: reading.as_json() for n, reading in bundle.readings.items()},
            "card": bundle.card,
            "golden": bundle.golden,
        }.items():
            text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
        files = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
        manifest = json.dumps({"format": FORMAT, "files": files}, indent=1, sort_keys=True)
        (folder / MANIFEST).write_text(manifest, encoding="utf-8")
        return _sha256(folder / MANIFEST)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle after checking every hash.

    Raises
    ------
    DataError
        ``bundle_not_found``, ``bundle_unreadable``, ``bundle_altered`` (a file is missing, added or
        not what the manifest says) or ``feature_contract_mismatch`` (trained with other features).
    """
    digest = verify(path)
    try:
        contract = FeatureContract.from_json(_text(path, "contract.json"))
        specs = {k: TestSpec.model_validate(v) for k, v in _json(path, "tests.json").items()}
        entries = _json(path, "components.json")
        offsets, calibration = _json(path, "adaptation.json"), _json(path, "calibration.json")
        components: dict[str, ComponentModel] = {
            n: _component(path, n, entries[n], offsets[n], calibration[n])
            for n in COMPONENTS
            if n in entries
        }
        bundle = Bundle(
            components,
            specs,
            contract,
            card=_json(path, "card.json"),
            golden=_json(path, "golden.json"),
            availability=_availability(path),
            readings={n: _reading(path, n, r) for n, r in _json(path, "readings.json").items()},
            digest=digest,
            version=_version(path, digest),
        )
    except (ValueError, KeyError, TypeError, lgb.basic.LightGBMError) as error:
        raise DataError(
            "bundle_unreadable",
            f"The bundle {path} is whole but cannot be read: {type(error).__name__}.",
            "Load it with the version of nmr_ml that wrote it, or train again.",
        ) from error
    feature_contract().check(contract.names)
    return bundle


def verify(path: Path) -> str:
    """Check every hash of the bundle at `path` and return its digest; errors as `load_bundle`."""
    if not (restored(path) / MANIFEST).is_file():
        raise DataError("bundle_not_found", f"{path} holds no {MANIFEST}.", REMEDY)
    try:
        manifest = _json(path, MANIFEST)
        expected: dict[str, str] = manifest["files"]
        written_format = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("bundle_altered", f"{path / MANIFEST} is no manifest.", REMEDY) from error
    if written_format != FORMAT:
        raise DataError(
            "bundle_unreadable",
            f"The bundle {path} has format {written_format}, this version reads {FORMAT}.",
            "Load it with the version of nmr_ml that wrote it, or train again.",
        )
    found = {
        file.name: _sha256(file)
        for file in path.iterdir()
        if file.is_file() and file.name not in {MANIFEST, REGISTRATION}
    }
    changed = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
    if changed:
        raise DataError(
            "bundle_altered",
            f"{', '.join(changed)} in {path} is not what its manifest says.",
            REMEDY,
        )
    return _sha256(path / MANIFEST)


def _component_json(folder: Path, model: ComponentModel) -> dict[str, Any]:
    """Write the boosters of `model` to `folder` and return the rest of it."""
    return {
        **write_curve(folder, model.component, model.curve, model.grid, model.measurement),
        "index_test": model.index_test,
        "follow_up_h": model.follow_up_h,
        "seen_low": _nullable(model.seen_low),
        "seen_high": _nullable(model.seen_high),
        "athletes_n": model.athletes_n,
        "episodes_n": model.episodes_n,
    }


def _calibration_json(model: ComponentModel) -> dict[str, Any]:
    return {"groups": model.calibration.as_json(), "clearance": model.clearance.as_json()}


def _component(
    path: Path, name: Component, entry: Mapping[str, Any], offsets: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> ComponentModel:  # fmt: skip
    curve, grid, measurement = read_curve(path, name, entry)
    return ComponentModel(
        component=name,
        index_test=entry["index_test"],
        curve=curve,
        grid=grid,
        measurement=measurement,
        offsets=OffsetPrior.from_json(offsets),
        calibration=Calibration.from_json(calibration["groups"]),
        clearance=Clearance.from_json(calibration["clearance"]),
        follow_up_h=entry["follow_up_h"],
        seen_low=np.array(entry["seen_low"], np.float64),
        seen_high=np.array(entry["seen_high"], np.float64),
        athletes_n=entry["athletes_n"],
        episodes_n=entry["episodes_n"],
    )


def _availability(path: Path) -> AvailabilityModel:
    content, booster = _json(path, f"{AVAILABILITY}.json"), None
    if content["columns"] is not None:
        booster = lgb.Booster(model_str=_text(path, TREES_OF_ABSENCES))
    return AvailabilityModel.from_json(content, booster)


def _reading(path: Path, name: str, entry: Mapping[str, Any]) -> ReadingModel:
    trees = [
        lgb.Booster(model_str=_text(path, f"{name}.reading_{part}.lgb.txt"))
        for part in ("centre", "width")
    ]
    return ReadingModel.from_json(entry, *trees)


def _nullable(values: Floats) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def _version(path: Path, digest: str) -> str:
    if (path / REGISTRATION).is_file():
        return str(_json(path, REGISTRATION)["version"])
    return f"sha-{digest[:12]}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _text(path: Path, name: str) -> str:
    return (path / name).read_text(encoding="utf-8")


def _json(path: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_text(path, name))
    return content
