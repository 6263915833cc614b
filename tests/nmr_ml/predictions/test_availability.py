from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.bundle.bundle import load_bundle, save_bundle
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.models.availability.fit import grow_trees
from nmr_ml.models.availability.model import TREE_COLUMNS, DurationTrees
from nmr_ml.predictions.availability import ABSENCE_CURVE_H
from nmr_ml.predictions.columns import DEFICIT_H
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import Predictions, predict
from serving.answers.encoding import rows
from serving.answers.rendering import rendered
from serving.batch import finished, score
from serving.requests.question import answer
from tests.support.absence_rows import bundle_of, drawn_absences, law, learnt
from tests.support.small_cohorts import at, measured, person, session, small_cohort

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.models.availability.law import DurationLaw

DAY = 24.0
NULL = ["delta", "delta_unit", "index_test", "drivers", *(f"deficit_{h:.0f}h" for h in DEFICIT_H)]
NUMBERS = ["recovery_h", "lower_h", "upper_h", "remaining_h", "p_now", "p_24h", "p_96h"]


def episode(name: str, onset_h: float, end_h: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "episode_id": name, "athlete_id": "a", "kind": "injury", "onset_at": at(onset_h),
        "resolved_at": None if end_h is None else at(end_h), "known_at": at(onset_h), **more,
    }  # fmt: skip


def squad(*episodes: dict[str, Any]) -> Cohort:
    """Return two athletes who train now and then, with these episodes."""
    return small_cohort(
        [session(-200, name="s0"), session(-100, athlete="b", name="s1")],
        [measured(-90, 40.0), measured(1500, 40.0, athlete="b")],
        athletes=[person("a"), person("b")],
        episodes=list(episodes),
    )


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return squad(
        episode("healed", -2000, -2000 + 30 * DAY),
        episode("knee", 0, body_region="left_knee", diagnosis="ACL"),
        episode("flu", 48, 48 + 5 * DAY, kind="systemic"),
        episode("late", 10, athlete_id="b", known_at=at(60)),
    )


@pytest.fixture(scope="module")
def both() -> Bundle:
    return bundle_of(learnt(law()))


def asked(bundle: Bundle, cohort: Cohort, hour: float, name: str, **more: Any) -> pd.Series:
    options = Options(as_of=at(hour).to_pydatetime(), episode_id=name, **more)
    return predict(bundle, cohort, options).frame.iloc[0]


def test_an_open_episode_has_hours_and_no_deficit(both: Bundle, cohort: Cohort) -> None:
    row = asked(both, cohort, 0, "knee")
    assert (row["status"], row["reason"], row["component"]) == ("ok", None, "availability")
    # It heals as slowly as the athlete's earlier one of 30 days lets expect.
    assert 16 * DAY < row["recovery_h"] < 24 * DAY
    assert row["lower_h"] < row["recovery_h"] < row["upper_h"] < np.inf
    assert row["remaining_h"] == row["recovery_h"]
    assert row["recovered_at"] == at(row["recovery_h"]).round("s")
    assert row["p_now"] == 0.0
    assert 0 < row["p_24h"] < row["p_48h"] < row["p_72h"] < row["p_96h"] < 0.1
    assert row[NULL].isna().all()
    assert row["limiting"]
    assert not row[["extrapolated", "out_of_distribution", "upper_unbounded"]].any()
    assert row["confidence"] == "building"
    assert row["interval_level"] == 0.8


def test_the_longer_it_lasts_the_later_it_ends(both: Bundle, cohort: Cohort) -> None:
    found = [asked(both, cohort, 24 * day, "knee") for day in (0, 4, 30, 200)]
    for day, row in zip((0, 4, 30, 200), found, strict=True):
        assert row["lower_h"] > 24 * day
        assert row["remaining_h"] == pytest.approx(row["recovery_h"] - 24 * day, abs=1e-9)
        assert row["p_now"] == 0.0
    assert [row["recovery_h"] for row in found] == sorted(row["recovery_h"] for row in found)
    assert found[1]["p_96h"] == 0.0 < found[0]["p_96h"]
    assert not np.signbit(found[1]["p_96h"])
    assert [row["extrapolated"] for row in found] == [False, False, False, True]


def test_an_end_that_is_known_is_told(both: Bundle, cohort: Cohort) -> None:
    row = asked(both, cohort, 48 + 5 * DAY, "flu")
    assert row["recovery_h"] == row["lower_h"] == row["upper_h"] == 5 * DAY
    assert (row["remaining_h"], row["p_now"], row["p_24h"], row["p_96h"]) == (0.0, 1.0, 0.0, 0.0)
    assert row["recovered_at"] == at(48 + 5 * DAY)
    before = asked(both, cohort, 48 + 5 * DAY - 1, "flu")
    assert before["p_now"] == 0.0
    assert before["recovery_h"] > 5 * DAY


def test_the_end_that_lies_ahead_changes_nothing(both: Bundle, cohort: Cohort) -> None:
    known = cohort["episodes"]["resolved_at"].where(cohort["episodes"]["episode_id"] == "healed")
    episodes = cohort["episodes"].assign(resolved_at=known)
    blind = replace(cohort, tables={**cohort.tables, "episodes": episodes})
    for name in ("knee", "flu"):
        pd.testing.assert_series_equal(
            asked(both, cohort, 60, name), asked(both, blind, 60, name), check_exact=True
        )


def test_landmarks_end_where_the_episode_ends(both: Bundle, cohort: Cohort) -> None:
    found = predict(both, cohort, Options(landmarks_h=(0.0, 96.0, 144.0))).frame
    found = found[found["component"] == "availability"]
    since = (found["as_of"] - found["clock_start"]).dt.total_seconds() / 3600
    assert since[found["episode_id"] == "flu"].tolist() == [0, 96]
    assert since[found["episode_id"] == "knee"].tolist() == [0, 96, 144]
    late = found[found["episode_id"] == "late"]
    assert late["status"].tolist() == ["abstained", "ok", "ok"]
    assert late["reason"].iloc[0] == "session_not_known"
    assert late["confidence"].tolist() == ["cold_start"] * 3


def test_a_kind_with_too_few_episodes_gets_no_hours_but_the_number_needed(cohort: Cohort) -> None:
    found = predict(bundle_of(learnt(law(), "injury")), cohort, Options(landmarks_h=(0.0,)))
    frame = found.frame.set_index("episode_id")
    assert frame.loc["flu", "reason"] == "too_little_data"
    assert frame.loc["flu", NUMBERS].isna().all()
    assert frame.loc["knee", "status"] == "ok"
    [told] = [w for w in found.warnings if w.code == "too_few_episodes"]
    assert told.message == (
        "No hours are given for systemic episodes: the model learnt from 7 resolved systemic "
        "episodes of 5 athletes, needed 20 of 10."
    )
    learnt_both = predict(bundle_of(learnt(law())), cohort, Options(landmarks_h=(0.0,)))
    assert "too_few_episodes" not in {w.code for w in learnt_both.warnings}


def test_a_grade_that_was_never_seen_is_out_of_distribution() -> None:
    graded = replace(
        law(), grades={"injury": {"1": (5.0, 0.1)}}, location_se={"injury": 0.6, "systemic": 0.1}
    )
    some = squad(
        episode("one", 0, grade="1"), episode("odd", 0, athlete_id="b", grade="9"),
        episode("none", 500, athlete_id="b"),
    )  # fmt: skip
    found = predict(bundle_of(learnt(graded)), some, Options(landmarks_h=(0.0,))).frame
    strange = found.set_index("episode_id")["out_of_distribution"]
    assert strange[["one", "odd", "none"]].tolist() == [False, True, False]


def of_words() -> DurationLaw:
    """Return a law by which knees take three times as long, their ligaments nine times."""
    knee = {"": (np.log(3), 0.1), "ligament_joint_sprain": (np.log(9), 0.0)}
    return replace(law(), shifts={"injury": {"": {"": (0.0, 0.2)}, "knee": knee}})


def test_region_and_diagnosis_count_however_they_are_written() -> None:
    written: tuple[tuple[str, dict[str, Any]], ...] = (
        ("plain", {}), ("knee", {"body_region": "L. knee"}),
        ("acl", {"body_region": "KNEES", "diagnosis": "torn ACL"}),
        ("odd", {"body_region": "somewhere", "diagnosis": "mystery"}),
    )  # fmt: skip
    some = [squad(episode(name, 0, **words)) for name, words in written]
    bundle = bundle_of(learnt(of_words()))
    rows = [asked(bundle, cohort, 0, name) for cohort, (name, _) in zip(some, written, strict=True)]
    hours = [row["recovery_h"] for row in rows]
    assert hours[1] == pytest.approx(3 * hours[0])
    assert hours[2] == pytest.approx(9 * hours[0])
    assert hours[3] == hours[0]
    assert [row["out_of_distribution"] for row in rows] == [False, False, False, True]


def test_words_of_an_episode_that_was_not_known_change_nothing() -> None:
    bundle = bundle_of(learnt(of_words()))
    first = episode("first", -2000, -2000 + 30 * DAY, known_at=at(100))
    plain, told = squad(first, episode("knee", 0)), squad(
        {**first, "body_region": "knee", "diagnosis": "ACL"}, episode("knee", 0)
    )  # fmt: skip
    before = [asked(bundle, cohort, 50, "knee")["recovery_h"] for cohort in (plain, told)]
    after = [asked(bundle, cohort, 100, "knee")["recovery_h"] for cohort in (plain, told)]
    assert before[0] == before[1]
    assert after[0] > after[1]  # thirty days are quick for a ligament of the knee


def test_a_kind_whose_median_answers_is_said_so(cohort: Cohort) -> None:
    medians = replace(law(athlete_sd=0.0), location={"injury": np.log(20 * DAY)})
    options = Options(as_of=at(50).to_pydatetime(), drivers=True)
    found = predict(bundle_of(learnt(of_words(), medians=medians)), cohort, options)
    by_law = predict(bundle_of(learnt(of_words())), cohort, options)
    rows, other = (part.frame.set_index("episode_id") for part in (found, by_law))
    own = rows.loc["knee"]
    assert own["status"] == "ok"
    assert 20 * DAY < own["recovery_h"] < 22 * DAY  # neither the knee nor earlier episodes count
    assert rows["recovery_h"]["flu"] == other["recovery_h"]["flu"]
    [told] = [w for w in found.warnings if w.code == "median_of_kind"]
    assert told.message.startswith("Hours for injury episodes are those of the median injury")
    assert "median_of_kind" not in {w.code for w in by_law.warnings}


def test_the_curve_goes_on_for_weeks_and_has_no_deficit(both: Bundle, cohort: Cohort) -> None:
    at_h = at(24).to_pydatetime()
    found = predict(both, cohort, Options(as_of=at_h, episode_id="knee", curves=True))
    [curve] = found.curves
    assert [point["h"] for point in curve] == list(ABSENCE_CURVE_H)
    told = {point["h"]: point["p"] for point in curve}
    assert told[96.0] == found.frame["p_96h"].iloc[0]
    assert told[24.0] == 0.0
    assert [*told.values()] == sorted(told.values())
    assert told[112 * DAY] > 0.95
    [row] = rows(found)
    assert {point["deficit"] for point in row["curve"]} == {None}
    assert row["delta"] is None


def test_library_batch_and_request_give_the_same_row(cohort: Cohort, tmp_path: Path) -> None:
    save_bundle(bundle_of(learnt(of_words())), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    tables = {name: frame for name, frame in cohort.tables.items() if len(frame)}
    write_cohort(tmp_path / "squad", name="squad", timezone="UTC", tables=tables)
    moment = at(60).to_pydatetime()
    options = Options(as_of=moment)
    finished(tmp_path / "squad", tmp_path / "out", bundle, options, bucket=1)
    score(tmp_path / "squad", tmp_path / "out", bundle, options, bucket=1)
    batch = pd.read_parquet(tmp_path / "out" / "predictions").set_index("episode_id")
    library = predict(bundle, cohort, options).frame.set_index("episode_id")
    body = {
        "athlete": {"athlete_id": "a", "sex": "female", "birth_year": 1995},
        "episodes": [
            {k: v.isoformat() if isinstance(v, pd.Timestamp) else v for k, v in row.items()}
            for row in (
                episode("healed", -2000, -2000 + 30 * DAY),
                episode("knee", 0, body_region="left_knee", diagnosis="ACL"),
                episode("flu", 48, 48 + 5 * DAY, kind="systemic"),
            )
        ],
        "sessions": [{"session_id": "s0", "started_at": at(-201.5).isoformat(),
                      "ended_at": at(-200).isoformat(), "session_load_au": 400}],
        "as_of": at(60).isoformat(),
    }  # fmt: skip
    request = answer(bundle, {**body, "episode_id": "knee"})
    [one] = request["predictions"]
    assert {"knee", "flu", "late"} <= set(library.index)
    assert "healed" not in library.index  # it is over
    for name in NUMBERS:
        assert batch[name]["knee"] == library[name]["knee"] == one[name], name
        assert batch[name]["late"] == library[name]["late"]
    assert one["curve"]
    assert str(rendered(request)) is not None


def test_trees_move_the_hours_and_are_the_drivers(cohort: Cohort, tmp_path: Path) -> None:
    X = np.full((200, len(TREE_COLUMNS)), np.nan)
    X[:, TREE_COLUMNS.index("age_y")] = np.tile([20.0, 35.0], 100)
    absences, _ = drawn_absences(100, 2, seed=1, shift=np.tile([-0.7, 0.7], 100))
    params = {"num_leaves": 4, "learning_rate": 0.1, "min_data_in_leaf": 20, "verbosity": -1}
    trees = DurationTrees(
        grow_trees(X, absences, law(), {**params, "num_threads": 1}, 20), TREE_COLUMNS
    )
    save_bundle(bundle_of(learnt(law(), trees=trees)), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    plain = asked(bundle, cohort, 24, "knee")
    assert plain["drivers"] is None
    assert (
        plain["recovery_h"]
        > 1.3 * asked(bundle_of(learnt(law())), cohort, 24, "knee")["recovery_h"]
    )
    row = asked(bundle, cohort, 24, "knee", drivers=True)
    [driver] = row["drivers"]
    assert {k: driver[k] for k in ("group", "feature", "value")} == {
        "group": "person", "feature": "age_y", "value": 31.0,
    }  # fmt: skip
    assert driver["ratio"] > 1.3
    assert row["recovery_h"] == plain["recovery_h"]
    law_alone = asked(bundle_of(learnt(law())), cohort, 24, "knee", drivers=True)
    assert law_alone["drivers"] is None


def test_a_person_reads_days(both: Bundle, cohort: Cohort) -> None:
    from rich.console import Console

    found = predict(
        both, cohort, Options(as_of=at(24).to_pydatetime(), episode_id="knee", curves=True)
    )
    console = Console(width=100)
    with console.capture() as shown:
        console.print(rendered(as_answer(found)))
    text = shown.get()
    assert "availability: chance that it is over, by days" in text
    assert f"{found.frame['recovery_h'].iloc[0] / 24:.0f} d" in text
    assert "deficit" not in text


def as_answer(found: Predictions) -> dict[str, Any]:
    model = {"name": "nmr", "version": "1", "contract_hash": ""}
    return {"predictions": rows(found), "model": model, "warnings": []}
