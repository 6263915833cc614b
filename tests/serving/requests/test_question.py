"""What a request may hold, and where each fault is pointed at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest

from serving.api.app import create_app
from serving.api.openapi import describe
from serving.api.settings import Settings
from serving.requests.problems import MOST_FAULTS, RequestError, document, invalid, pointer
from serving.requests.question import parse, parse_json
from tests.support.equality import assert_same
from tests.support.request_bodies import END, body

NAIVE = "2026-03-01T17:30:00"


def faults(content: object) -> dict[str, str]:
    """The codes of a refused request by pointer."""
    with pytest.raises(RequestError) as refused:
        parse(content)
    assert refused.value.status == 422
    assert refused.value.code == "invalid_request"
    assert all(fault.detail for fault in refused.value.faults)
    return {fault.pointer: fault.code for fault in refused.value.faults}


def changed(table: str, row: int, **cells: Any) -> dict[str, Any]:
    content = body()
    content[table][row] |= cells
    return content


def test_rows_are_in_canonical_units() -> None:
    question = parse(changed("tests", 0, value=0.33, unit="m"))
    assert question.tables["sessions"]["session_load_au"].tolist()[0] == 4 * 90
    assert question.tables["sessions"]["session_load_au"].size == 21
    assert question.tables["tests"]["value"].min() == pytest.approx(31.0)
    assert question.tables["tests"]["value"].max() == pytest.approx(33.0)
    assert question.timezone == "Europe/Oslo"


def test_both_ways_to_canonical_rows_give_one_history() -> None:
    """The text `minute` with a blank is the category still, but only the long way knows."""
    plain, long = parse(body()), parse(changed("sessions", 0, time_precision="minute "))
    given, expected = (q.history(("cmj_height",)) for q in (plain, long))
    expected.sessions.columns["day_precision"][:] = given.sessions.columns["day_precision"]
    assert_same(given, expected)
    assert plain.options == long.options


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], {"": "not_an_object"}),
        ({}, {"/athlete": "missing_value"}),
        (body(athlete={}), {"/athlete/sex": "missing_value"}),
        (body(athlete={"sex": "f"}), {"/athlete/sex": "unknown_category"}),
        (body(athlete="a"), {"/athlete": "not_an_object"}),
        (body(athletes=[]), {"/athletes": "unknown_field"}),
        (body(sessions={}), {"/sessions": "not_a_list"}),
        (body(sessions=[1]), {"/sessions/0": "not_an_object"}),
        (body(truth=[]), {"/truth": "unknown_field"}),
        ({**body(), "a/b~c": 1}, {"/a~1b~0c": "unknown_field"}),
        (changed("sessions", 3, rpe=4), {"/sessions/3/rpe": "unknown_field"}),
        (changed("sessions", 3, duration_min=-5), {"/sessions/3/duration_min": "out_of_range"}),
        (changed("sessions", 3, duration_min="90"), {"/sessions/3/duration_min": "not_a_number"}),
        (changed("sessions", 3, duration_min=True), {"/sessions/3/duration_min": "not_a_number"}),
        (changed("sessions", 3, session_id=7), {"/sessions/3/session_id": "not_a_text"}),
        (changed("sessions", 3, session_id="\ud800"), {"/sessions/3/session_id": "not_a_text"}),
        (changed("sessions", 3, started_at=NAIVE), {"/sessions/3/started_at": "naive_time"}),
        (changed("sessions", 3, started_at="soon"), {"/sessions/3/started_at": "not_a_time"}),
        (changed("sessions", 3, started_at=5), {"/sessions/3/started_at": "not_a_time"}),
        (changed("sessions", 3, athlete_id="b"), {"/sessions/3/athlete_id": "orphan"}),
        (changed("sessions", 3, kind="nap"), {"/sessions/3/kind": "unknown_category"}),
        (changed("tests", 1, rested=1), {"/tests/1/rested": "not_a_bool"}),
        (changed("tests", 1, unit="lb"), {"/tests/1/unit": "unknown_unit"}),
        (changed("tests", 1, test="plank"), {"/tests/1/test": "unknown_category"}),
        (changed("labs", 0, analyte="gold"), {"/labs/0/analyte": "unknown_category"}),
        (changed("sleep", 2, asleep_min=float("nan")), {"/sleep/2/asleep_min": "not_a_number"}),
        (body(as_of=NAIVE), {"/as_of": "naive_time"}),
        (body(as_of="2026-03-01"), {"/as_of": "naive_time"}),
        (body(as_of="soon"), {"/as_of": "not_a_time"}),
        (body(delta="2.6"), {"/delta": "not_a_number"}),
        (body(delta=-1), {"/delta": "delta_invalid"}),
        (body(delta={"speed": 1}), {"/delta": "delta_invalid"}),
        (body(delta={"power=1,central": 2}), {"/delta": "delta_invalid"}),
        (body(drivers="yes"), {"/drivers": "not_a_bool"}),
        (body(timezone="Mars/Olympus"), {"/timezone": "timezone_unknown"}),
        (body(episode_id=3), {"/episode_id": "not_a_text"}),
    ],
)  # fmt: skip
def test_each_fault_has_its_pointer_and_code(content: object, expected: dict[str, str]) -> None:
    assert faults(content) == expected


def test_all_faults_of_one_kind_are_told_at_once() -> None:
    content = changed("sessions", 3, duration_min=-5)
    content["tests"][2]["value"] = 900
    assert set(faults(content)) == {"/sessions/3/duration_min", "/tests/2/value"}


def test_a_later_time_than_now_is_refused() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert list(faults(changed("sessions", 20, started_at=tomorrow)).values()) == ["future"]


def test_a_wrong_athlete_is_not_told_as_a_fault_of_each_row() -> None:
    assert faults(body(athlete={"sex": "x"})) == {"/athlete/sex": "unknown_category"}


def test_a_misspelt_field_is_answered_with_the_likely_one() -> None:
    with pytest.raises(RequestError) as refused:
        parse(changed("sessions", 3, duration_mins=90))
    assert "duration_min" in refused.value.faults[0].detail


def test_as_of_defaults_to_the_latest_known_at() -> None:
    assert parse(body()).options.as_of == END


def test_rows_after_as_of_are_counted() -> None:
    question = parse(body(as_of=(END - timedelta(minutes=1)).isoformat()))
    (ignored,) = question.warnings
    assert ignored.code == "ignored_after_as_of"
    assert ignored.message.startswith("1 row was not used")
    assert ignored.pointer == "/as_of"


def test_words_that_are_not_recognised_are_told_on_both_ways() -> None:
    onset = (END - timedelta(days=3)).isoformat()
    episode = {"episode_id": "e", "kind": "injury", "onset_at": onset, "body_region": "knee"}
    known, strange, long = (
        parse(body(episodes=[{**episode, **more}])).warnings
        for more in ({"diagnosis": "ACL"}, {"diagnosis": "mystery"}, {"diagnosis": "mystery "})
    )
    assert known == ()
    (told,) = strange
    assert (told.code, told.pointer) == ("unknown_words", "/episodes")
    assert long == strange


def test_without_a_timezone_utc_is_assumed_and_said() -> None:
    content = body()
    del content["timezone"]
    question = parse(content)
    assert question.timezone == "UTC"
    assert [warned.code for warned in question.warnings] == ["timezone_assumed"]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [(None, {}), (2, {"*": 2.0}), ({"power": 2.5, "central": 3}, {"power": 2.5, "central": 3.0})],
)
def test_delta_is_read_like_the_option(delta: object, expected: dict[str, float]) -> None:
    assert parse(body(delta=delta)).options.deltas == expected


def test_numbers_that_no_float_holds_are_refused_in_their_place() -> None:
    text = json.dumps(body()).replace('"body_mass_kg": 63', '"body_mass_kg": ' + "1" * 5000)
    assert faults(parse_json(text.encode())) == {"/athlete/body_mass_kg": "not_a_number"}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000, b"{} {}"],
    ids=["empty", "open", "nan", "twice", "bytes", "deep", "two"],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        parse_json(text)
    assert (refused.value.status, refused.value.code) == (400, "not_json")


def test_a_problem_lists_so_many_faults_and_counts_all() -> None:
    with pytest.raises(RequestError) as refused:
        parse(body(sessions=[1] * 500))
    error = refused.value
    problem = document(error.status, error.code, error.message, error.faults)
    assert len(problem["errors"]) == MOST_FAULTS
    assert "500 faults" in problem["detail"]
    assert problem["title"] == HTTPStatus(422).phrase


def test_pointers_escape_as_rfc_6901_says() -> None:
    assert pointer("a/b", 0, "m~n") == "/a~1b/0/m~0n"
    assert invalid([]).faults == ()


def test_openapi_names_every_column_and_its_limits() -> None:
    schemas = describe(create_app(None, Settings()))["components"]["schemas"]
    rpe = schemas["SessionsRow"]["properties"]["session_rpe"]
    assert (rpe["minimum"], rpe["maximum"]) == (0, 10)
    assert schemas["SessionsRow"]["required"] == ["session_id", "started_at"]
    assert "cmj_height" in schemas["TestsRow"]["properties"]["test"]["enum"]
    prediction = schemas["Answer"]["properties"]["predictions"]["items"]["properties"]
    assert {"recovery_h", "drivers", "curve"} < set(prediction)
    assert '"$ref": "#/$defs' not in json.dumps(schemas)
