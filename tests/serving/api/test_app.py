"""The API over real HTTP."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from nmr_ml.bundle.bundle import load_bundle, save_bundle
from serving.api.readiness import verified_bundle
from serving.api.settings import BUNDLE_VARIABLE
from serving.requests.question import answer
from tests.support.request_bodies import body
from tests.support.serving_process import NMR, Server, bentoml_serve, nmr_serve, until_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
TOKEN = "correct horse"  # noqa: S105  of this test alone


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with nmr_serve(tiny_bundle, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token, room for one request, and a small limit."""
    home = tmp_path_factory.mktemp("home")
    limits = {"NMR_MAX_IN_FLIGHT": "1", "NMR_MAX_BODY_BYTES": "100000"}
    with nmr_serve(tiny_bundle, home, NMR_API_TOKEN=TOKEN, **limits) as running:
        yield running


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, checked for its form."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = response.json()
    assert content.keys() == {"type", "title", "status", "code", "detail", "errors"}
    assert (content["status"], content["code"]) == (status, code)
    assert content["title"] == HTTPStatus(status).phrase
    assert content["detail"]
    return content


def ask(server: Server, content: Any, **more: Any) -> httpx.Response:
    return httpx.post(f"{server.address}/v1/predict", json=content, timeout=60, **more)


def test_the_answer_is_that_of_the_library(server: Server, tiny_bundle: Path) -> None:
    response = ask(server, body(drivers=True))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    expected = answer(load_bundle(tiny_bundle), body(drivers=True))
    assert response.content == json.dumps(expected, ensure_ascii=False).encode()


def test_the_answer_is_that_of_the_command(
    server: Server, tiny_bundle: Path, tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(body()))
    command = [*NMR, "predict", str(request), "--model", str(tiny_bundle), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == ask(server, body()).json()


def test_an_answer_holds_hours_a_curve_and_a_model(server: Server) -> None:
    content = ask(server, body()).json()
    (power,) = (row for row in content["predictions"] if row["component"] == "power")
    assert power["status"] == "ok"
    assert power["episode_id"] == "s20"
    assert power["clock_start"] == power["as_of"] == "2026-03-31T18:30:00+00:00"
    assert power["lower_h"] <= power["recovery_h"] <= (power["upper_h"] or float("inf"))
    assert power["upper_unbounded"] == (power["upper_h"] is None)
    assert [point["h"] for point in power["curve"]][:4] == [0, 6, 12, 24]
    chances = [point["p"] for point in power["curve"]]
    assert chances == sorted(chances)
    assert content["model"].keys() == {"name", "version", "contract_hash"}
    assert "not_medical" in {warning["code"] for warning in content["warnings"]}


def test_an_abstention_has_no_numbers(server: Server) -> None:
    content = body()
    del content["sessions"][-1]["session_rpe"]
    rows = ask(server, content).json()["predictions"]
    assert {row["status"] for row in rows} == {"abstained"}
    assert {row["reason"] for row in rows} == {"load_missing"}
    for row in rows:
        assert row["recovery_h"] is row["p_24h"] is row["upper_h"] is None
        assert row["curve"] == []


def test_faults_are_pointed_at(server: Server) -> None:
    content = body()
    content["sessions"][3]["duration_min"] = -5
    content["tests"][2]["value"] = -1
    refused = problem(ask(server, content), 422, "invalid_request")
    assert {(e["pointer"], e["code"]) for e in refused["errors"]} == {
        ("/sessions/3/duration_min", "out_of_range"),
        ("/tests/2/value", "out_of_range"),
    }
    assert {error.keys() >= {"detail"} for error in refused["errors"]} == {True}


def test_nothing_to_predict_is_422(server: Server) -> None:
    refused = problem(ask(server, body(sessions=[])), 422, "no_episode")
    assert refused["errors"][0]["pointer"] == "/sessions"
    refused = problem(ask(server, body(episode_id="nobody")), 422, "no_episode")
    assert refused["errors"][0]["pointer"] == "/episode_id"


def test_what_is_no_json_is_400(server: Server) -> None:
    response = httpx.post(f"{server.address}/v1/predict", content=b'{"athlete": ')
    problem(response, 400, "not_json")


def test_a_large_body_is_413_and_the_client_hears_it(server: Server) -> None:
    response = httpx.post(f"{server.address}/v1/predict", content=b" " * (3 * 2**20), timeout=60)
    problem(response, 413, "too_large")


def test_a_large_body_of_no_stated_length_is_413(server: Server) -> None:
    chunks = (b" " * 2**16 for _ in range(40))
    response = httpx.post(f"{server.address}/v1/predict", content=chunks, timeout=60)
    problem(response, 413, "too_large")


def test_unknown_routes_and_methods(server: Server) -> None:
    assert httpx.get(f"{server.address}/v2/predict").status_code == 404
    problem(httpx.get(f"{server.address}/v1/predict"), 405, "no_such_method")


def test_the_model_says_what_it_is(server: Server) -> None:
    found = httpx.get(f"{server.address}/v1/model").json()
    assert found["name"] == "nmr"
    assert found["delta"]["power"] == {"index_test": "cmj_height", "value": 2.6, "unit": "pct"}
    assert {"version", "contract_hash", "trained_on", "calibrated_coverage", "since"} <= set(found)


def test_probes_metrics_and_the_page_load_nothing_foreign(server: Server) -> None:
    for route in ("livez", "readyz"):
        assert httpx.get(f"{server.address}/{route}").status_code == 200
    assert "_request_total" in httpx.get(f"{server.address}/metrics").text
    page = httpx.get(f"{server.address}/")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http://HOST:PORT", "")
    assert "<script" not in page.text
    schema = httpx.get(f"{server.address}/openapi.json").json()
    assert set(schema["paths"]) >= {"/v1/predict", "/v1/model"}


def test_no_value_of_a_request_is_logged(server: Server) -> None:
    content = body()
    content["athlete"]["athlete_id"] = "somebody-in-particular"
    content["sessions"][3]["duration_min"] = -54321
    ask(server, content)
    content["sessions"][3]["duration_min"] = 54
    ask(server, content)
    assert "/v1/predict" in server.logged()
    assert "somebody-in-particular" not in server.logged()
    assert "54321" not in server.logged()


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer"}],
)
def test_a_wrong_token_is_401(guarded: Server, headers: dict[str, str]) -> None:
    for response in (
        ask(guarded, body(), headers=headers),
        httpx.get(f"{guarded.address}/v1/model", headers=headers),
    ):
        problem(response, 401, "unauthorised")
        assert response.headers["www-authenticate"] == "Bearer"


def test_the_right_token_is_let_in(guarded: Server) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(guarded, body(), headers=headers).status_code == 200
    assert httpx.get(f"{guarded.address}/readyz").status_code == 200


def test_one_request_too_many_is_429(guarded: Server) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    where = urlsplit(guarded.address)
    with socket.create_connection((where.hostname, where.port)) as slow:
        slow.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n{"
        )
        response = ask(guarded, body(), headers=headers)
        while response.status_code == 200:  # the slow one had not arrived yet
            response = ask(guarded, body(), headers=headers)
        problem(response, 429, "too_many_in_flight")
        assert response.headers["retry-after"] == "1"
    until_ok = {ask(guarded, body(), headers=headers).status_code for _ in range(20)}
    assert 200 in until_ok


def test_an_altered_bundle_lives_but_is_not_ready(tiny_bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, broken)
    with (broken / "card.json").open("a") as file:
        file.write(" ")
    with nmr_serve(broken, tmp_path) as running:
        assert httpx.get(f"{running.address}/livez").status_code == 200
        assert httpx.get(f"{running.address}/readyz").status_code == 503
        problem(ask(running, body()), 503, "not_ready")
        problem(httpx.get(f"{running.address}/v1/model"), 503, "not_ready")
        assert "bundle_altered" in running.logged()
        assert running.stop(signal.SIGTERM) == 0


def test_a_model_that_differs_from_its_golden_rows_is_not_served(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(tiny_bundle)
    golden = json.loads(json.dumps(bundle.golden))
    golden["rows"][0]["recovery_h"] += 1
    save_bundle(replace(bundle, golden=golden), tmp_path / "bundle")
    monkeypatch.setenv(BUNDLE_VARIABLE, str(tmp_path / "bundle"))
    assert verified_bundle() is None
    monkeypatch.setenv(BUNDLE_VARIABLE, str(tiny_bundle))
    assert verified_bundle() is not None


def test_ctrl_c_ends_the_server_and_leaves_no_process(tiny_bundle: Path, tmp_path: Path) -> None:
    with nmr_serve(tiny_bundle, tmp_path) as running:
        assert psutil.Process(running.process.pid).children(recursive=True) == []
        assert running.stop(signal.SIGINT) == 0
        assert "Traceback" not in running.logged()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{running.address}/livez")


def test_bentoml_serves_the_same(tiny_bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with bentoml_serve(tiny_bundle, tmp_path, port) as running:
        until_status(f"{running.address}/readyz", 200)
        expected = answer(load_bundle(tiny_bundle), body())
        assert ask(running, body()).json() == expected
        assert "gtag" not in httpx.get(f"{running.address}/").text
        assert "_request_total" in httpx.get(f"{running.address}/metrics").text
        children = psutil.Process(running.process.pid).children(recursive=True)
        running.stop()
    assert not [child for child in children if child.is_running()]
