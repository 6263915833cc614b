from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.cohort.injury_words import (
    DIAGNOSES,
    REGIONS,
    diagnosis_of,
    region_of,
    unrecognised,
)

REGION_OF = {
    "left_foot": "foot", "Feet": "foot", "R. big toe": "foot", "plantar fascia": "foot",
    "Hamstring": "thigh", "QUADRICEPS (right)": "thigh", "biceps femoris": "thigh",
    "calves": "lower_leg", "Shin": "lower_leg", "Achilles tendon": "lower_leg",
    "lower-leg": "lower_leg", "Knees": "knee", "ACL": "knee", "patellar tendon": "knee",
    "hip/groin": "hip_groin", "adductors": "hip_groin", "ankle": "ankle",
    "stomach_back": "trunk_back", "Lower back": "trunk_back", "ribs": "trunk_back",
    "left_upper_arm": "upper_arm_elbow", "biceps": "upper_arm_elbow", "lower_arm":
    "forearm_wrist_hand", "Thumb": "forearm_wrist_hand", "Neck": "head_neck", "nose": "head_neck",
    "clavícula, clavicle": "shoulder", "somewhere": "other", "left_leg": "lower_leg",
    "upper leg": "thigh", "other": "other",
    "": "unknown", "N/A": "unknown", "left": "unknown", "Unknown": "unknown", "?": "unknown",
}  # fmt: skip

DIAGNOSIS_OF = {
    "Hamstring strain": "muscle", "torn calf muscle": "muscle", "DOMS": "muscle",
    "ACL": "ligament_joint_sprain", "MCL tear": "ligament_joint_sprain",
    "sprained ankle": "ligament_joint_sprain", "Shoulder dislocation": "ligament_joint_sprain",
    "Achilles tendinopathy": "tendon", "jumper’s knee": "tendon", "hamstring tendinitis": "tendon",
    "Fractured fibula": "bone_fracture", "broken toe": "bone_fracture",
    "Stress fracture (5th MT)": "bone_stress", "shin-splints": "bone_stress",
    "bruised ribs": "contusion", "muscle contusion": "contusion", "dead leg": "contusion",
    "Concussion": "concussion", "Torn meniscus": "cartilage_joint", "bursitis": "cartilage_joint",
    "cut": "laceration", "flu": "illness_infection", "Covid-19": "illness_infection",
    "head cold": "illness_infection", "Glandular fever": "illness_infection",
    "illness": "illness_other", "hay fever": "illness_other", "heat exhaustion": "illness_other",
    "Overtraining": "overreaching", "tear": "other", "mystery": "other", "Other": "other",
    "": "unknown", "not specified": "unknown", "-": "unknown",
}  # fmt: skip


@pytest.mark.parametrize(("text", "region"), REGION_OF.items())
def test_a_region_is_one_of_the_list(text: str, region: str) -> None:
    assert region_of(text) == region


@pytest.mark.parametrize(("text", "diagnosis"), DIAGNOSIS_OF.items())
def test_a_diagnosis_is_one_of_the_list(text: str, diagnosis: str) -> None:
    assert diagnosis_of(text) == diagnosis


def test_missing_is_unknown_and_every_name_of_the_lists_is_met() -> None:
    assert region_of(None) == diagnosis_of(None) == "unknown"
    assert set(REGION_OF.values()) == set(REGIONS)
    assert set(DIAGNOSIS_OF.values()) == set(DIAGNOSES)


@given(st.one_of(st.text(), st.sampled_from([*REGION_OF, *DIAGNOSIS_OF])))
def test_what_was_folded_stays_as_it_is(text: str) -> None:
    assert region_of(region_of(text)) == region_of(text) in REGIONS
    assert diagnosis_of(diagnosis_of(text)) == diagnosis_of(text) in DIAGNOSES


@given(
    st.sampled_from([*REGION_OF, *DIAGNOSIS_OF]),
    st.sampled_from([str.upper, str.lower, str.title]),
    st.sampled_from(["{}", " {} ", "left {}", "{} (R)", "{}.", "_{}_", "{}!?"]),
)
def test_case_punctuation_and_side_make_no_difference(text: str, case: type, frame: str) -> None:
    written = frame.format(case(text)).replace(" ", "_")
    assert region_of(written) == region_of(text)
    assert diagnosis_of(written) == diagnosis_of(text)


def test_what_is_not_recognised_is_counted_and_not_repeated() -> None:
    columns: dict[str, list[str | None]] = {
        "episode_id": ["e1", "e2", "e3", "e4"],
        "body_region": ["knee", "private matter", "other", None],
        "diagnosis": [None, "flu", "unknown", "sprain"],
    }
    [told] = unrecognised(columns, "episodes")
    assert told.code == "unknown_words"
    assert told.message == (
        "episodes: 1 of 3 texts in body_region are not recognised and count as 'other'; the first "
        "is that of episode e2."
    )
