"""Batch scoring: whole athletes in buckets, one Parquet part for each, resumable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from nmr_ml.cohort.cohort import Cohort, Warned
from nmr_ml.cohort.folder import fingerprint
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.errors import DataError
from nmr_ml.predictions.predict import predict
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.runtime.home import writing_file
from serving.answers.encoding import SCHEMA, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.predictions.options import Options

#: Athletes in one part: some seconds of work to lose when a run is stopped.
BUCKET = 200
#: Under this key a part's Parquet metadata holds what its rows do not show.
_NOTES = b"nmr"


@dataclass(frozen=True, slots=True)
class Output:
    """The places under the output folder."""

    root: Path

    @property
    def plan(self) -> Path:
        """What the folder was made for; written first."""
        return self.root / "plan.json"

    @property
    def manifest(self) -> Path:
        """The counts; written last, so that it says that all parts are there."""
        return self.root / "manifest.json"

    @property
    def predictions(self) -> Path:
        """The folder of the parts."""
        return self.root / "predictions"

    def parts(self) -> list[Path]:
        """Return the parts that are there, each of them whole."""
        return sorted(self.predictions.glob("part-*.parquet"))

    def part(self, number: int) -> Path:
        """Return the place of one part."""
        return self.predictions / f"part-{number:05d}.parquet"


def finished(
    cohort: Path, out: Path, bundle: Bundle, options: Options, *, bucket: int = BUCKET
) -> dict[str, Any] | None:
    """Claim `out` for this run, and return its manifest if the run is done already.

    Raises
    ------
    DataError
        ``output_belongs_to_other_run`` where `out` holds something else.
    """
    output = Output(out)
    wanted = plan(cohort, bundle, options, bucket)
    if output.parts():
        _compare(out, _read(output.plan), wanted)
        return _read(output.manifest) if output.manifest.is_file() else None
    if not output.plan.is_file() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _other_run(out, "it holds something that scoring did not write")
    _write(output.plan, wanted)
    return None


def score(
    cohort: Path,
    out: Path,
    bundle: Bundle,
    options: Options,
    *,
    bucket: int = BUCKET,
    advance: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, Any]:
    """Predict for a whole cohort into `out` and return the manifest.

    Parts that are there are kept, so a run that was stopped goes on where it was; call `finished`
    first, which makes sure that they are of the same run.

    Parameters
    ----------
    bucket : int
        Athletes in one part, as given to `finished`.
    advance : callable
        Told after each part how many of how many are there.

    Raises
    ------
    DataError
        What reading the cohort raises; ``no_episode`` where there is nothing to predict.
    """
    output = Output(out)
    for leftover in output.predictions.glob(".part-*"):  # of a run that was killed
        leftover.unlink()
    content = read_cohort(cohort, quarantine=out)
    parts = -(-len(content["athletes"]) // bucket)
    for number, athletes in enumerate(split(content, bucket)):
        if not output.part(number).is_file():
            _write_part(output.part(number), bundle, athletes, options)
        advance(number + 1, parts)
    manifest = _manifest(output, content, bundle)
    _write(output.manifest, manifest)
    return manifest


def split(cohort: Cohort, size: int) -> Iterator[Cohort]:
    """Yield cohorts of `size` whole athletes, in the order of their ids."""
    ids = pd.Index(cohort["athletes"]["athlete_id"].sort_values())
    buckets = -(-len(ids) // size)
    placed = {}
    for name, frame in cohort.tables.items():
        bucket = ids.get_indexer(frame["athlete_id"]) // size
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(buckets + 1))
        placed[name] = (frame, order, bounds)
    for number in range(buckets):
        tables = {
            name: frame.take(order[bounds[number] : bounds[number + 1]]).reset_index(drop=True)
            for name, (frame, order, bounds) in placed.items()
        }
        yield Cohort(cohort.name, cohort.timezone, tables)


def plan(cohort: Path, bundle: Bundle, options: Options, bucket: int) -> dict[str, Any]:
    """Return what decides the output: code, model, data and options."""
    return {
        "code_version": version("nmr_ml"),
        "model_name": bundle.model_name,
        "model_version": bundle.model_version,
        "model_digest": bundle.digest,
        "cohort": fingerprint(cohort),
        "test_catalogue": _catalogue_hash(),
        "landmarks_h": None if options.as_of else list(options.landmarks_h),
        "as_of": options.as_of.astimezone(UTC).isoformat() if options.as_of else None,
        "deltas": dict(sorted(options.deltas.items())),
        "drivers": options.drivers,
        "risk": options.risk,
        "bucket_athletes": bucket,
    }


def _catalogue_hash() -> str:
    specs = {name: spec.model_dump(mode="json") for name, spec in shipped_testspecs().items()}
    return hashlib.sha256(json.dumps(specs, sort_keys=True).encode()).hexdigest()


def _compare(out: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    names = {**found, **wanted}
    changed = [name for name in names if found.get(name) != wanted.get(name)]
    if changed:
        raise _other_run(out, f"it was begun with another {', another '.join(changed)}")


def _other_run(out: Path, why: str) -> DataError:
    return DataError(
        "output_belongs_to_other_run",
        f"{out} cannot be used: {why}.",
        "Give a new folder, or remove this one.",
    )


def _write_part(path: Path, bundle: Bundle, cohort: Cohort, options: Options) -> None:
    try:
        predictions = predict(bundle, cohort, options)
    except DataError as error:
        if error.code != "no_episode":
            raise
        part, notes = SCHEMA.empty_table(), {"superseded": 0, "warnings": []}
    else:
        part = table(predictions.frame)
        warnings = [asdict(warned) for warned in predictions.warnings]
        notes = {"superseded": predictions.superseded, "warnings": warnings}
    with writing_file(path) as temporary:
        pq.write_table(part.replace_schema_metadata({_NOTES: json.dumps(notes)}), temporary)


def _manifest(output: Output, cohort: Cohort, bundle: Bundle) -> dict[str, Any]:
    counts = cohort.counts.values()
    status = {"ok": 0, "abstained": 0}
    superseded, warnings = 0, list(cohort.warnings)
    for path in output.parts():
        part = pq.read_table(path, columns=["status"])
        for value in status:
            status[value] += part["status"].to_pylist().count(value)
        notes = json.loads(part.schema.metadata[_NOTES])
        superseded += notes["superseded"]
        warnings += [Warned(**warned) for warned in notes["warnings"]]
    if not any(status.values()):
        raise DataError(
            "no_episode",
            "No athlete has a session or an open episode at the time asked about.",
            "Add sessions, or choose another time.",
        )
    return {
        "model_name": bundle.model_name,
        "model_version": bundle.model_version,
        "contract_hash": bundle.contract_hash,
        "rows_in": sum(count.rows_in for count in counts),
        "predicted": status["ok"],
        "abstained": status["abstained"],
        "quarantined": sum(count.quarantined for count in counts),
        "superseded": superseded,
        "finished": True,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "warnings": [asdict(warned) for warned in sorted(set(warnings), key=astuple)],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _other_run(path.parent, f"its {path.name} cannot be read") from error
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with writing_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
