"""Real servers as child processes, for the tests of the API."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NMR = (sys.executable, "-c", "from nmr_ml.cli.main import main; main()")
PATIENCE_S = 180


@dataclass(frozen=True)
class Server:
    """A running server, its address and what it has logged so far."""

    process: subprocess.Popen[str]
    address: str
    log: list[str]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Tell it to stop and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def logged(self) -> str:
        return "".join(self.log)


@contextmanager
def nmr_serve(bundle: Path, home: Path, **variables: str) -> Iterator[Server]:
    """Run ``nmr serve`` on a free port until the block ends."""
    command = (*NMR, "serve", "--port", "0", "--model", str(bundle))
    with _running(command, home, variables) as process:
        assert process.stdout is not None
        before = []
        for line in process.stdout:
            before.append(line)
            if found := re.search(r" on (http://127\.0\.0\.1:\d+)$", line.strip()):
                break
        else:
            raise AssertionError("".join(before))
        log = _collected(process)
        log[:0] = before
        yield Server(process, found[1], log)


@contextmanager
def bentoml_serve(bundle: Path, home: Path, port: int) -> Iterator[Server]:
    """Run ``bentoml serve`` until the block ends."""
    command = (
        sys.executable, "-m", "bentoml", "serve", "serving.service:RecoveryService",
        "--port", str(port),
    )  # fmt: skip
    variables = {"NMR_SERVE_BUNDLE": str(bundle), "BENTOML_HOME": str(home / "bentoml")}
    with _running(command, home, variables) as process:
        yield Server(process, f"http://127.0.0.1:{port}", _collected(process))


def until_status(url: str, status: int) -> None:
    """Wait until `url` answers with `status`."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = httpx.get(url, timeout=5).status_code
        except httpx.TransportError:
            found = 0
        if found == status:
            return
        assert time.monotonic() < deadline, f"{url} answers {found}, not {status}"
        time.sleep(0.2)


@contextmanager
def _running(
    command: Sequence[str], home: Path, variables: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    own = {"NMR_API_TOKEN": "", "NMR_HOME": str(home), "PYTHONUNBUFFERED": "1", **variables}
    with subprocess.Popen(
        command, env={**os.environ, **own}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()


def _collected(process: subprocess.Popen[str]) -> list[str]:
    """Read what the process writes until it ends, lest it block on a full pipe."""
    lines: list[str] = []
    assert process.stdout is not None
    threading.Thread(target=lines.extend, args=(process.stdout,)).start()
    return lines
