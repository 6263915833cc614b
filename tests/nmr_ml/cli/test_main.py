"""The command line as a process: help, failures, interrupts and pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = """
import os, time
from typing import Annotated
import typer
from nmr_ml.runtime import console
from nmr_ml.errors import DataError

def refuse(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    '''Refuse what it is given.

    Parameters
    ----------
    as_json : bool
    '''
    raise DataError("not_today", "The squad [A] is 3, expected 4.", "Add one.")

def crash(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    '''Fail as nobody foresaw.'''
    value = 10 + 7.3
    raise ValueError(f"athlete 007 has a testosterone of {value}")

def wait() -> None:
    '''Wait to be stopped.'''
    console.say("waiting")
    time.sleep(60)

def chatter() -> None:
    '''Write more than a pipe holds.'''
    for _ in range(100_000):
        console.say("x" * 100)
"""
ENTRY_POINTS = "[nmr.commands]\n" + "\n".join(
    f"{name} = nmr_test_commands:{name}" for name in ("refuse", "crash", "wait", "chatter")
)


@dataclass(frozen=True)
class Shell:
    """Runs `nmr` in its own home, with a real plug-in of commands that fail in every way."""

    folder: Path

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "plugin"),
            "NMR_HOME": str(self.folder / "home"),
        }
        program = "from nmr_ml.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
        )  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    plugin = tmp_path / "plugin"
    description = plugin / "nmr_test_commands-1.0.dist-info"
    description.mkdir(parents=True)
    (plugin / "nmr_test_commands.py").write_text(COMMANDS)
    (description / "entry_points.txt").write_text(ENTRY_POINTS)
    (description / "METADATA").write_text("Name: nmr_test_commands\nVersion: 1.0\n")
    return Shell(tmp_path)


def test_error_is_one_line_with_code_and_remedy(shell: Shell) -> None:
    done = shell.run("refuse")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error[not_today]: The squad [A] is 3, expected 4. Add one.\n"


def test_error_as_json_is_the_only_thing_on_standard_output(shell: Shell) -> None:
    done = shell.run("refuse", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "error": {
            "code": "not_today",
            "message": "The squad [A] is 3, expected 4.",
            "remedy": "Add one.",
        }
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        (),
        ("--nonsense",),
        ("refuse", "--nonsense"),
        ("refuse", "surplus"),
        ("score",),
        ("serve", "--port", "many"),
        ("serve", "--port", "70000"),
    ],
)
def test_wrong_usage_is_exit_2_without_traceback(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error[usage]: ")
    assert done.stderr.count("\n") == 1


def test_wrong_usage_as_json(shell: Shell) -> None:
    done = shell.run("refuse", "--nonsense", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_unexpected_failure_says_where_but_not_about_whom(shell: Shell) -> None:
    done = shell.run("crash")
    assert done.returncode == 3
    assert done.stderr.startswith("error[internal]: An unexpected ValueError")
    (log,) = (shell.folder / "home" / "logs").iterdir()
    assert str(log) in done.stderr
    written = log.read_text()
    assert "in crash" in written
    for text in (done.stdout, done.stderr, written):
        assert "Traceback" not in text
        assert "17.3" not in text


def test_failure_where_the_log_cannot_be_written(shell: Shell) -> None:
    (shell.folder / "home").write_text("a file where the folder should be")
    done = shell.run("crash", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "internal"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_is_exit_130(shell: Shell, number: signal.Signals) -> None:
    with shell.start("wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.startswith("error[interrupted]: ")
    assert "Run the same command again" in err
    assert "Traceback" not in err


def test_closed_pipe_ends_quietly(shell: Shell) -> None:
    with shell.start("chatter") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == ""


def test_help_stops_before_the_docstring_sections(shell: Shell) -> None:
    done = shell.run("refuse", "--help")
    assert done.returncode == 0
    assert "Refuse what it is given." in done.stdout
    assert "Parameters" not in done.stdout
    assert done.stderr == ""


def test_help_lists_every_command(shell: Shell) -> None:
    done = shell.run("--help")
    assert done.returncode == 0
    for name in ("refuse", "simulate", "validate", "train", "score", "predict", "serve"):
        assert f"\n  {name} " in done.stdout


def test_version(shell: Shell) -> None:
    done = shell.run("--version")
    assert (done.returncode, done.stdout) == (0, "nmr 0.1.0\n")


def test_commands_import_nothing_heavy() -> None:
    program = """
import sys
from importlib.metadata import entry_points
for point in entry_points(group="nmr.commands"):
    point.load()
heavy = {"pandas", "numpy", "mlflow", "lightgbm", "sklearn", "scipy", "numba", "bentoml", "pyarrow"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
