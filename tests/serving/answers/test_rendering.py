"""What a person sees of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from serving.answers.rendering import rendered
from serving.requests.question import answer
from tests.support.request_bodies import body

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle


def shown(content: dict[str, Any]) -> str:
    console = Console(width=80, markup=False, no_color=True)
    with console.capture() as captured:
        console.print(rendered(content))
    return captured.get()


def test_an_answer_names_hours_interval_model_and_warnings(bundle: Bundle) -> None:
    content = answer(bundle, body(drivers=True))
    text = shown(content)
    (power,) = (row for row in content["predictions"] if row["component"] == "power")
    assert "exertion s20 of athlete" in text
    assert f"{power['recovery_h']:.0f} h" in text
    assert "80% interval" in text
    assert "2.6%" in text
    assert f"version {bundle.model_version}" in text
    assert "Not a medical device" in text
    assert "associated with" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_long_names_and_numbers_fit_80_columns(bundle: Bundle) -> None:
    content = answer(bundle, body())
    content["predictions"][0] |= {
        "component": "coordination", "limiting": True, "recovery_h": 412.0, "lower_h": 120.0,
        "upper_h": 1100.0, "remaining_h": 412.0, "p_now": 1.0, "p_96h": 1.0,
        "delta": 0.5, "delta_unit": "points",
    }  # fmt: skip
    text = shown(content)
    assert "coordination*" in text
    assert "0.5 pt" in text
    assert "…" not in text


def test_laboratory_values_are_not_shown(bundle: Bundle) -> None:
    content = answer(bundle, body())
    content["predictions"][0]["drivers"] = [
        {"group": "endocrine", "feature": "ck_ln", "value": 5.4806, "ratio": 1.2},
        {"group": "endocrine", "feature": "shbg_ln", "value": None, "ratio": 1.1},
    ]
    text = shown(content)
    assert "5.48" not in text
    assert "measured" in text
    assert "absent" in text


def test_an_abstention_says_why_and_an_open_end_is_a_sign(bundle: Bundle) -> None:
    content = body()
    del content["sessions"][-1]["session_rpe"]
    assert "no number, the load of the session is not known" in shown(answer(bundle, content))
    content = answer(bundle, body())
    content["predictions"][0] |= {"upper_h": None, "upper_unbounded": True, "recovery_h": None}
    assert "∞" in shown(content)
