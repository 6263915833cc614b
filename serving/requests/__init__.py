"""From the JSON of one athlete to canonical rows."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from serving.requests.example import eligible, request_of
    from serving.requests.problems import Fault, RequestError
    from serving.requests.question import answer, known_tests, parse
    from serving.requests.schema import PredictRequest
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Fault",
    "PredictRequest",
    "RequestError",
    "answer",
    "eligible",
    "known_tests",
    "parse",
    "request_of",
]
