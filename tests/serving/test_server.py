"""Where the server may listen, and what its environment may say."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from nmr_ml.errors import OutsideError, UsageError
from serving.api.app import create_app
from serving.api.settings import Settings
from serving.server import bind
from tests.support.serving_process import NMR

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_without_a_token_the_loopback_is_served(host: str) -> None:
    with bind(host, 0, None) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  to be refused
def test_without_a_token_no_other_address_is_served(host: str) -> None:
    with pytest.raises(UsageError) as refused:
        bind(host, 0, None)
    assert refused.value.code == "token_needed"


def test_with_a_token_every_address_is_served() -> None:
    with bind("0.0.0.0", 0, "secret") as listener:  # noqa: S104  as above
        assert listener.getsockname()[0] == "0.0.0.0"  # noqa: S104  as above


def test_a_busy_port_is_told() -> None:
    with bind("127.0.0.1", 0, None) as first, pytest.raises(OutsideError) as refused:
        bind("127.0.0.1", first.getsockname()[1], None)
    assert refused.value.code == "port_busy"


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(OutsideError) as refused:
        bind("192.0.2.1", 0, "secret")  # an address of the documentation (RFC 5737)
    assert refused.value.code == "cannot_bind"


def test_a_name_that_is_no_host_is_told() -> None:
    with pytest.raises(OutsideError) as refused:
        bind("no-such-host.invalid", 0, None)
    assert refused.value.code == "cannot_bind"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("--host", "0.0.0.0"), "token_needed", 2),  # noqa: S104  as above
        (("--port", "0"), "no_champion", 1),
        (("--port", "0", "--model", "absent/bundle"), "model_not_found", 1),
    ],
)
def test_serve_refuses_with_its_exit_code(
    arguments: tuple[str, ...], code: str, status: int
) -> None:
    done = subprocess.run(
        [*NMR, "serve", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith(f"error[{code}]: ")


def test_serve_says_that_the_port_is_busy_before_it_looks_for_a_model() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*NMR, "serve", "--port", port], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 3
    assert done.stderr.startswith("error[port_busy]: ")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "not_json"),
        ('{"athlete": {"sex": "x"}}', "invalid_request"),
        (None, "request_unreadable"),
    ],
)
def test_predict_refuses_a_wrong_request_before_it_looks_for_a_model(
    tmp_path: Path, text: str | None, code: str
) -> None:
    request = tmp_path / "request.json"
    if text is not None:
        request.write_text(text)
    command = [*NMR, "predict", str(request), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == code


@pytest.mark.parametrize("text", ["0", "-1", "2e6", "many", "1.5", "²"])
def test_a_limit_that_is_no_whole_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NMR_MAX_BODY_BYTES", text)
    with pytest.raises(UsageError) as refused:
        Settings.from_environment()
    assert refused.value.code == "setting_invalid"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment() == Settings()
    monkeypatch.setenv("NMR_API_TOKEN", "secret")
    monkeypatch.setenv("NMR_MAX_IN_FLIGHT", "3")
    assert Settings.from_environment() == Settings("secret", max_in_flight=3)


@pytest.mark.parametrize(
    ("client", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 401), ("", 401)]
)
def test_without_a_token_other_machines_get_no_answer_however_it_listens(
    bundle: Bundle, client: str, status: int
) -> None:
    import anyio

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(bundle, Settings()), client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://nmr") as http:
            return await http.get("/v1/model")

    response = anyio.run(ask)
    assert response.status_code == status
    if status == 401:
        assert response.json()["code"] == "token_needed"


def test_an_unexpected_failure_is_a_generic_500(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    import anyio

    app = create_app(bundle, Settings())

    @app.get("/v1/crash")
    async def crash() -> None:
        value = 10 + 7.3
        raise ValueError(f"athlete 007 has a testosterone of {value}")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://nmr"
        ) as http:
            return await http.get("/v1/crash")

    response = anyio.run(ask)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "internal"
    assert "ValueError" in caplog.text
    assert "in crash" in caplog.text
    assert "17.3" not in response.text + caplog.text
