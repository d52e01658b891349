"""The description of the server beside its answers, by a program that asks what is allowed there and what is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from recommender import Recommender
from tests.faults.harness import report_totals
from tests.web.test_server import HERO, fetch, running, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def described(newsroom_index: Path) -> Iterator[BaseSchema]:
    """What a running server says of itself, with ids that there are: it cannot name them."""
    thread = Recommender.open(newsroom_index).threads()[0].id
    with running(newsroom_index) as (_, port):
        wait_for(port)
        told: dict[str, Any] = json.loads(fetch(port, "/openapi.json")[2])
        for path, operation in told["paths"].items():
            for parameter in operation["get"]["parameters"]:
                if parameter["name"] == "id":
                    known = HERO if path.startswith("/related") else thread
                    parameter["schema"] = {"enum": [known, "unknown", "häß/日本", "<b>"]}
        schema = schemathesis.openapi.from_dict(told)
        schema.config.update(base_url=f"http://127.0.0.1:{port}")
        schema.config.checks.negative_data_rejection.expected_statuses = ["400", "404", "414"]
        yield schema


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described(described: BaseSchema, mode: GenerationMode) -> None:
    """Status, media type, headers and schema; what is allowed is accepted, what is not is refused, nothing fails."""
    seen: Counter[tuple[str, int]] = Counter()
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            seen[case.path, case.call_and_validate().status_code] += 1

        if mode is GenerationMode.POSITIVE or operation.query or operation.path_parameters:
            ask()
    answered = {path for path, status in seen if status == 200}
    assert mode is GenerationMode.NEGATIVE or answered == set(described.raw_schema["paths"])
    report_totals(f"{mode.value} questions", Counter({"asked": seen.total(), "kinds of answers": len(seen)}))


def test_the_description_is_openapi(described: BaseSchema) -> None:
    """It holds against the schema of OpenAPI 3.1, and names eleven addresses."""
    described.validate()
    assert len(list(described.get_all_operations())) == 11
