"""Whether two values are the same in every part and bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def assert_same(given: Any, expected: object, where: str = "") -> None:
    if is_dataclass(expected):
        for field in (field for field in fields(expected) if field.compare):
            name = f"{where}.{field.name}"
            assert_same(getattr(given, field.name), getattr(expected, field.name), name)
    elif isinstance(expected, dict):
        assert set(given) == set(expected), where
        for name, values in expected.items():
            assert_same(given[name], values, f"{where}.{name}")
    elif isinstance(expected, np.ndarray):
        assert given.dtype == expected.dtype, where
        np.testing.assert_array_equal(given, expected, where)
        assert given.flags.c_contiguous
        assert given.flags.writeable, where
        assert expected.flags.writeable, where
    else:
        assert given == expected, where
