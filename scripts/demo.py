"""Simulate a squad, train, promote, score and serve, then ask the server about one athlete.

One process does what the printed `nmr` commands do, because each of them would load the same
libraries again. What an earlier run has left is used again. DEMO_EXIT=1 ends after the answer.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from nmr_ml.cli.main import guarded, stop_on_sigterm
from nmr_ml.cohort.folder import DESCRIPTION
from nmr_ml.errors import DataError, OutsideError
from nmr_ml.runtime import console, telemetry
from nmr_ml.runtime.home import home, writing_file
from serving.api.settings import Settings

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ATHLETES, DAYS, SEED = 60, 180, 1
PORT = 3000
READY_S = 120
STARTED = time.monotonic()


def main() -> int:
    """Run the steps; the exit code is 0 once the answer is there."""
    folder = home() / "demo"
    squad = simulated(folder / "cohort")
    bundle = champion(squad)
    body = scored(squad, folder)
    listener = listening()
    with listener, serving(listener, bundle) as address:
        answer = asked(address, body)
        shown(answer, folder / "answer.json")
        if os.environ.get("DEMO_EXIT") != "1":
            console.say(f"Serving on {address}. Press Ctrl-C to stop.")
            wait()
    return 0


def simulated(squad: Path) -> Path:
    """Return the folder of the simulated cohort, made where it is not there."""
    step(f"nmr simulate {squad} --athletes {ATHLETES} --days {DAYS} --seed {SEED}")
    if (squad / DESCRIPTION).is_file():
        console.say("Is there already.")
    else:
        from nmr_ml.cli.simulate import simulate

        simulate(squad, athletes=ATHLETES, days=DAYS, seed=SEED)
    return squad


def champion(squad: Path) -> Path:
    """Return the bundle of the champion, trained and promoted where there is none."""
    from nmr_ml.bundle.registry import CHAMPION, resolve

    step(f"nmr train {squad}, then nmr promote")
    try:
        bundle = resolve(CHAMPION)
        console.say("There is a champion already.")
    except DataError as error:
        if error.code != "no_champion":
            raise
        from training.commands import promote, train

        train([squad])
        promote()
        bundle = resolve(CHAMPION)
    return bundle


def scored(squad: Path, folder: Path) -> dict[str, Any]:
    """Score the squad at the end of somebody's last session; return a request about that one."""
    from nmr_ml.cohort.reader import read_cohort
    from serving.commands import score
    from serving.requests.example import eligible, request_of

    cohort = read_cohort(squad)
    athlete_id, as_of = eligible(cohort)
    out = folder / "scored"
    step(f"nmr score {squad} {out} --as-of {as_of.isoformat()}")
    try:
        score(squad, out, as_of=as_of.isoformat())
    except DataError as error:
        if error.code != "output_belongs_to_other_run":
            raise
        shutil.rmtree(out)  # an earlier demonstration's, of another champion
        score(squad, out, as_of=as_of.isoformat())
    return {**request_of(cohort, athlete_id, as_of), "drivers": True}


def listening() -> socket.socket:
    """Return a socket on the usual port, or on a free one where that is taken."""
    from serving.server import bind

    try:
        return bind("127.0.0.1", PORT, None)
    except OutsideError:
        return bind("127.0.0.1", 0, None)


@contextmanager
def serving(listener: socket.socket, bundle: Path) -> Iterator[str]:
    """Serve inside the block, and yield the address once the server is ready."""
    from serving.server import prepared

    host, port = listener.getsockname()[:2]
    address = f"http://{host}:{port}"
    step(f"nmr serve --port {port}")
    with prepared(bundle) as server:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until_ready(address)
            yield address
        finally:
            server.should_exit = True
            thread.join()


def until_ready(address: str) -> None:
    """Wait for the server's word that its model reproduces its golden rows."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{address}/readyz", timeout=READY_S):  # noqa: S310  our own http address
                return
        except URLError:  # also HTTPError: not ready yet
            time.sleep(0.2)
    raise OutsideError(
        "not_ready",
        f"The server at {address} was not ready after {READY_S} s.",
        "Look at its log above.",
    )


def asked(address: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the server's answer."""
    step(f"POST {address}/v1/predict")
    request = Request(f"{address}/v1/predict", json.dumps(body).encode())  # noqa: S310  our own http address
    request.add_header("Content-Type", "application/json")
    if token := Settings.from_environment().token:
        request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=READY_S) as response:  # noqa: S310  our own http address
        answer: dict[str, Any] = json.load(response)
    return answer


def shown(answer: Mapping[str, Any], path: Path) -> None:
    """Print the answer and keep it."""
    from serving.answers.rendering import rendered

    with writing_file(path) as temporary:
        temporary.write_text(json.dumps(answer, ensure_ascii=False, indent=2), encoding="utf-8")
    console.show(rendered(answer))
    console.say(f"[{time.monotonic() - STARTED:5.1f} s] Answered; all of it is in {path}")


def wait() -> None:
    """Wait until the process is told to stop."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.say("Stopped.")


def step(command: str) -> None:
    """Say when a step starts, and the command that does the same."""
    shorter = command.replace(f"{home().parent}/", "")
    console.say(f"[{time.monotonic() - STARTED:5.1f} s] {shorter}")


if __name__ == "__main__":
    telemetry.switch_off()
    stop_on_sigterm()
    sys.exit(guarded(main, []))
