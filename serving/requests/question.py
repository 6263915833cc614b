"""A prediction request: its schema, its way to canonical rows, and its answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from nmr_ml.cohort.cohort import Warned
from nmr_ml.cohort.injury_words import unrecognised
from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.cohort.tables import TABLES, Table
from nmr_ml.cohort.timestamps import zone
from nmr_ml.errors import DataError, UsageError
from nmr_ml.history.columns import cohort_columns, recoded
from nmr_ml.history.history import history_of_columns
from nmr_ml.predictions.options import Options, parse_deltas
from nmr_ml.predictions.predict import predict_history
from nmr_ml.reasons import Notice, Quarantine
from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs
from serving.answers.encoding import rows
from serving.requests.problems import Fault, RequestError, invalid, pointer
from serving.requests.schema import _NAIVE, ROW_TABLES, PredictRequest, _Question
from serving.requests.usable_rows import plain_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.history.columns import Columns
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats


#: The id of an athlete whom the request does not name.
ANONYMOUS = "athlete"
_DTYPES: dict[str, Any] = {"number": "float64", "bool": "boolean"}
_ASSUMED = "No timezone was given: local days and clock times are those of UTC."


@dataclass(frozen=True, slots=True)
class Question:
    """A request that was understood: the rows of one athlete and what is asked about them.

    Parameters
    ----------
    tables : mapping of str to `nmr_ml.history.columns.Columns`
        Canonical; tests are coded by `known_tests`.
    timezone : str
        IANA name.
    options : Options
    warnings : tuple of Warned
    """

    tables: Mapping[str, Columns]
    timezone: str
    options: Options
    warnings: tuple[Warned, ...]

    def history(self, test_names: tuple[str, ...]) -> History:
        """Return the rows as sorted arrays."""
        tables = recoded(self.tables, known_tests(), test_names)
        return history_of_columns(tables, self.timezone, test_names)


def parse_json(text: bytes) -> object:
    """Parse the JSON of a request.

    Raises
    ------
    RequestError
        ``not_json`` (400) where it is no JSON document, holds NaN or Infinity, or names a field of
        an object twice.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise RequestError(400, "not_json", f"The request is not a JSON document{place}.") from None


def answer(bundle: Bundle, body: object) -> dict[str, Any]:
    """Predict for one request; the API and ``nmr predict`` both give this.

    Parameters
    ----------
    bundle : Bundle
        The verified model.
    body : dict
        The parsed request, as the public contract describes it.

    Returns
    -------
    dict
        ``predictions``, ``model`` and ``warnings``, ready for JSON: no NaN, no infinity, times as
        ISO-8601 in UTC.

    Raises
    ------
    RequestError
        Where the request is not the schema or holds impossible values.
        (422), or with ``no_episode`` where there is nothing to predict.
    """
    question = parse(body)
    try:
        history = question.history(tuple(sorted(bundle.specs)))
        predictions = predict_history(bundle, history, question.options)
    except DataError as error:
        place = "/episode_id" if question.options.episode_id else "/sessions"
        fault = Fault(place, error.code, error.message)
        raise RequestError(422, error.code, error.message, [fault]) from None
    warned = dict.fromkeys((*question.warnings, *predictions.warnings))
    return {
        "predictions": rows(predictions),
        "model": {
            "name": bundle.model_name,
            "version": bundle.model_version,
            "contract_hash": bundle.contract_hash,
        },
        "warnings": [{"code": w.code, "message": w.message, "pointer": w.pointer} for w in warned],
    }


def parse(body: object) -> Question:
    """Check a request and turn it into canonical rows and options; needs no model.

    Raises
    ------
    RequestError
        ``invalid_request`` (422) with a pointer to each fault.
    """
    request = _validated(body)
    as_of = _as_of(request.as_of)
    deltas = _deltas(request.delta)
    timezone = request.timezone or "UTC"
    tables = _plain(body, request, timezone) or _canonical(request, timezone)
    known_s = _known_s(tables)
    if as_of is None and known_s.size:
        as_of = datetime.fromtimestamp(float(known_s.max()), UTC)
    options = Options(
        as_of=as_of,
        episode_id=request.episode_id,
        deltas=deltas,
        drivers=request.drivers,
        curves=True,
        risk=request.risk,
    )
    late = 0 if as_of is None else int((known_s > np.floor(as_of.timestamp())).sum())
    warnings = [_ignored(late)] if late else []
    warnings += unrecognised(tables["episodes"], "/episodes")
    if request.timezone is None:
        warnings.append(Warned(Notice.TIMEZONE_ASSUMED, _ASSUMED, "/timezone"))
    return Question(tables, timezone, options, tuple(warnings))


@cache
def known_tests() -> tuple[str, ...]:
    """Return the names that a request may give its tests, sorted."""
    return tuple(sorted(shipped_testspecs()))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError
    return content


def _integer(digits: str) -> float:
    # Beyond what a float holds it becomes infinite, and is then refused with its pointer.
    return int(digits) if len(digits) < 20 else float(digits)


def _constant(_name: str) -> float:
    raise ValueError


def _validated(body: object) -> _Question:
    try:
        return PredictRequest.model_validate(body)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        faults = dict.fromkeys(_fault(detail["type"], detail["loc"]) for detail in details)
        raise invalid(tuple(faults)) from None


def _fault(kind: str, place: tuple[int | str, ...]) -> Fault:
    if place[:1] == ("delta",):  # a union: pydantic reports one error for each member
        return Fault("/delta", Quarantine.NOT_A_NUMBER, _DELTA)
    code, sentence = _SCHEMA_FAULTS.get(kind, ("not_the_schema", "Not what the schema expects."))
    name = str(next(iter(place), ""))
    table = TABLES.get("athletes" if name == "athlete" else name)
    if kind == "extra_forbidden":
        known = table.names if table else tuple(PredictRequest.model_fields)
        near = get_close_matches(str(place[-1]), known, n=1)
        sentence += f" Did you mean {near[0]}?" if near else ""
    elif kind == "string_type" and table and table.column(str(place[-1])).kind in {"time", "date"}:
        code, sentence = Quarantine.NOT_A_TIME, Quarantine.NOT_A_TIME.sentence
    return Fault(pointer(*place), code, sentence)


#: pydantic's error types, as the codes that the cohort check uses.
_SCHEMA_FAULTS: dict[str, tuple[str, str]] = {
    "missing": (Quarantine.MISSING_VALUE, "The field is required."),
    "extra_forbidden": ("unknown_field", "No such field."),
    "float_type": (Quarantine.NOT_A_NUMBER, "A number or null was expected."),
    "finite_number": (Quarantine.NOT_A_NUMBER, "A finite number was expected."),
    "bool_type": (Quarantine.NOT_A_BOOL, Quarantine.NOT_A_BOOL.sentence),
    "string_type": ("not_a_text", "A text or null was expected."),
    "value_error": ("not_a_text", "The text is not valid Unicode."),
    "naive_time": (Quarantine.NAIVE_TIME, _NAIVE),
    "list_type": ("not_a_list", "A list of rows was expected."),
    "model_type": ("not_an_object", "An object was expected."),
}


def _as_of(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        sentence = Quarantine.NOT_A_TIME.sentence
        raise invalid([Fault("/as_of", Quarantine.NOT_A_TIME, sentence)]) from None
    if moment.tzinfo is None:  # a day without a clock; a clock without an offset is refused before
        raise invalid([Fault("/as_of", Quarantine.NAIVE_TIME, _NAIVE)])
    return moment.astimezone(UTC)


def _deltas(value: float | dict[str, float] | None) -> Mapping[str, float]:
    """Read `delta` by the rules of the command line's ``--delta``."""
    if value is None:
        return {}
    parts = value if isinstance(value, dict) else {"": value}
    text = ",".join(
        f"{name}={number!r}" if name else repr(number) for name, number in parts.items()
    )
    try:
        # A comma or an equals sign in a name would make two components of one.
        return parse_deltas(text if all(map(str.isidentifier, filter(None, parts))) else "")
    except UsageError as error:
        raise invalid([Fault("/delta", error.code, _DELTA)]) from None


_DELTA = f"A number above 0, or an object of them by component ({', '.join(COMPONENTS)})."


def _plain(body: Any, request: _Question, timezone: str) -> Mapping[str, Columns] | None:  # noqa: ANN401
    """Return the rows where each can be used as it came; a request that was validated."""
    _zone(timezone)
    tables = {name: body.get(name, ()) for name in ROW_TABLES} | {"athletes": [body["athlete"]]}
    return plain_columns(tables, _owner(request), timezone, datetime.now(UTC), known_tests())


def _canonical(request: _Question, timezone: str) -> Mapping[str, Columns]:
    """Return the rows, or refuse them with every fault, by the rules for cohorts."""
    owner = _owner(request)
    raw = {"athletes": _frame([request.athlete], TABLES["athletes"], owner)}
    for name in ROW_TABLES:
        if given := getattr(request, name):
            raw[name] = _frame(given, TABLES[name], owner)
    cohort, refused = canonical_cohort("request", timezone, raw, now=datetime.now(UTC))
    faults = tuple(_refusals(refused))
    if faults:
        raise invalid(faults)
    return cohort_columns(cohort, known_tests())


def _zone(name: str) -> None:
    try:
        zone(name)
    except DataError as error:
        raise invalid([Fault("/timezone", error.code, error.message)]) from None


def _owner(request: _Question) -> str:
    return request.athlete.model_dump()["athlete_id"] or ANONYMOUS


def _frame(given: list[BaseModel], table: Table, owner: str) -> pd.DataFrame:
    """Return rows as a frame with the columns they name and those they must have."""
    records = [row.model_dump(exclude_unset=True) for row in given]
    named = {name for record in records for name in record}
    columns = [c for c in table.columns if c.required or c.name in named or c.name == "ended_at"]
    frame = pd.DataFrame.from_records(records, columns=[column.name for column in columns])
    frame = frame.astype({c.name: _DTYPES.get(c.kind, "str") for c in columns})
    return frame.assign(athlete_id=frame["athlete_id"].fillna(owner))


def _refusals(refused: Mapping[str, pd.DataFrame]) -> Iterator[Fault]:
    """Yield a fault for each quarantined row; an unusable athlete alone, since all hang on it."""
    alone = not refused.get("athletes", pd.DataFrame()).empty
    for name, frame in refused.items():
        if alone and name != "athletes":
            continue
        columns = zip(frame.index, frame["reason"], frame["sentence"], frame["column"], strict=True)
        for row, reason, sentence, column in columns:
            place = ("athlete",) if name == "athletes" else (name, int(row))
            where = (column,) if isinstance(column, str) and column else ()
            yield Fault(pointer(*place, *where), str(reason), sentence)


def _known_s(tables: Mapping[str, Columns]) -> Floats:
    """Return when each row became known, in whole seconds since 1970 UTC."""
    known = [columns["known_at"] for columns in tables.values() if "known_at" in columns]
    return np.concatenate(known).astype(np.float64)


def _ignored(late: int) -> Warned:
    rows_were = "1 row was" if late == 1 else f"{late} rows were"
    message = f"{rows_were} not used: known only after as_of."
    return Warned(Notice.IGNORED_AFTER_AS_OF, message, "/as_of")
