"""The closed vocabularies: why a row, a prediction, a follow-up or a label is not there."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Quarantine(StrEnum):
    """Why a row of a cohort cannot be used; `sentence` says it to a person."""

    MISSING_VALUE = "missing_value"
    NOT_A_NUMBER = "not_a_number"
    NOT_A_TIME = "not_a_time"
    NOT_A_BOOL = "not_a_bool"
    NAIVE_TIME = "naive_time"
    TIME_DOES_NOT_EXIST = "time_does_not_exist"
    TIME_AMBIGUOUS = "time_ambiguous"
    UNKNOWN_CATEGORY = "unknown_category"
    UNKNOWN_UNIT = "unknown_unit"
    UNIT_MISSING = "unit_missing"
    OUT_OF_RANGE = "out_of_range"
    LOOKS_LIKE_OTHER_UNIT = "looks_like_other_unit"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    ORPHAN = "orphan"
    OVERLAP = "overlap"
    FUTURE = "future"
    TIME_REVERSED = "time_reversed"
    KNOWN_BEFORE_EVENT = "known_before_event"
    PARTS_EXCEED_WHOLE = "parts_exceed_whole"

    @property
    def sentence(self) -> str:
        """What happened and what to do, for a person."""
        return _QUARANTINE_SENTENCES[self]


_QUARANTINE_SENTENCES: dict[Quarantine, str] = {
    Quarantine.MISSING_VALUE: "A required column is empty. Fill it in or remove the row.",
    Quarantine.NOT_A_NUMBER: "A number was expected. Write it with a decimal point and no unit.",
    Quarantine.NOT_A_TIME: "An ISO-8601 time was expected, such as 2026-03-01T17:30:00+01:00.",
    Quarantine.NOT_A_BOOL: "true or false was expected.",
    Quarantine.NAIVE_TIME: "The time has no UTC offset and cohort.yaml names no timezone. Add one.",
    Quarantine.TIME_DOES_NOT_EXIST: "The clock skipped this local time (start of summer time). "
    "Write it with its UTC offset.",
    Quarantine.TIME_AMBIGUOUS: "This local time happened twice (end of summer time). "
    "Write it with its UTC offset.",
    Quarantine.UNKNOWN_CATEGORY: "The value is not one of those the column knows.",
    Quarantine.UNKNOWN_UNIT: "The unit is not one this quantity can be converted from.",
    Quarantine.UNIT_MISSING: "The quantity comes in several units and the row names none.",
    Quarantine.OUT_OF_RANGE: "The value lies outside what is physically plausible.",
    Quarantine.LOOKS_LIKE_OTHER_UNIT: "The value is implausible in its unit but would fit another. "
    "Correct the unit.",
    Quarantine.DUPLICATE: "The row repeats an earlier one. Keep one of them.",
    Quarantine.CONFLICTING_DUPLICATE: "Another row has the same key and other values. "
    "Keep the right one.",
    Quarantine.ORPHAN: "The athlete is not in the athletes table. Add the athlete or the right id.",
    Quarantine.OVERLAP: "The period overlaps an earlier one of the same athlete.",
    Quarantine.FUTURE: "The time lies in the future of the clock of this machine.",
    Quarantine.TIME_REVERSED: "The end lies before the start.",
    Quarantine.KNOWN_BEFORE_EVENT: "known_at lies before the event itself.",
    Quarantine.PARTS_EXCEED_WHOLE: "The parts add up to more than the whole.",
}


@unique
class Abstain(StrEnum):
    """Why there is no prediction for an episode."""

    LOAD_MISSING = "load_missing"
    SESSION_NOT_KNOWN = "session_not_known"
    TOO_LITTLE_DATA = "too_little_data"
    RED_FLAG = "red_flag"
    COMPONENT_NOT_LEARNT = "component_not_learnt"


@unique
class Censor(StrEnum):
    """Why the follow-up of an episode ended."""

    NEXT_SESSION = "next_session"
    END_OF_TESTS = "end_of_tests"
    HORIZON = "horizon"
    STILL_OPEN = "still_open"


@unique
class NoLabel(StrEnum):
    """Why an episode has no label for a component."""

    LABELLED = "labelled"
    TOO_FEW_RESTED_TESTS = "too_few_rested_tests"
    NO_TEST_IN_FOLLOW_UP = "no_test_in_follow_up"
    NOT_RESOLVED = "not_resolved"


@unique
class Notice(StrEnum):
    """Warnings that travel with a prediction or a cohort."""

    UNKNOWN_COLUMN = "unknown_column"
    UNKNOWN_TABLE = "unknown_table"
    UNKNOWN_WORDS = "unknown_words"
    MINOR_ENDOCRINE_IGNORED = "minor_endocrine_ignored"
    RATINGS_ONLY = "ratings_only"
    EXTRAPOLATED = "extrapolated"
    COLD_START = "cold_start"
    TOO_FEW_EPISODES = "too_few_episodes"
    MEDIAN_OF_KIND = "median_of_kind"
    NOT_CALIBRATED = "not_calibrated"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    NOT_MEDICAL = "not_medical"
    TIMEZONE_ASSUMED = "timezone_assumed"
    IGNORED_AFTER_AS_OF = "ignored_after_as_of"
    RED_FLAG = "red_flag"
