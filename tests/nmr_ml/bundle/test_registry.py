from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest

from nmr_ml.bundle.bundle import MANIFEST, MODEL_NAME, REGISTRATION, load_bundle
from nmr_ml.bundle.registry import _without_secrets, client, resolve, tracking_uri
from nmr_ml.errors import DataError, OutsideError
from nmr_ml.runtime.home import home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.registered import Registry


def code_of(reference: str) -> str:
    with pytest.raises((DataError, OutsideError)) as caught:
        resolve(reference)
    return caught.value.code


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_folder_is_its_own_answer(tiny_bundle: Path) -> None:
    assert resolve(str(tiny_bundle)) == tiny_bundle


@pytest.mark.parametrize("name", ["champion", "candidate", "mine"])
def test_a_folder_is_named_by_a_path_alone(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert resolve(f"./{name}") == Path(name)
    assert resolve(f"{name}/") == Path(name)
    with pytest.raises(DataError) as caught:
        resolve(name)
    assert caught.value.code == ("no_champion" if name == "champion" else "model_not_found")
    assert ("--model" if name == "champion" else "./FOLDER") in caught.value.remedy


def test_a_folder_does_not_stand_in_for_a_uri(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "models:" / "nmr@champion")
    monkeypatch.chdir(tmp_path)
    assert code_of("models:/nmr@champion") == "no_champion"
    assert resolve("./models:/nmr@champion") == Path("models:/nmr@champion")


@pytest.mark.slow
def test_a_local_folder_does_not_stand_in_for_the_champion(
    registry: Registry, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client().set_registered_model_alias(MODEL_NAME, "champion", registry.latest)
    for name in ("champion", registry.latest):
        shutil.copytree(tiny_bundle, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in ("champion", registry.latest):
        assert resolve(name).is_relative_to(home())
        assert load_bundle(resolve(name)).version == registry.latest


def test_before_any_training_there_is_no_champion() -> None:
    for reference in ("champion", "models:/nmr@champion"):
        assert code_of(reference) == "no_champion"
    for reference in ("candidate", "7", "models:/nmr/7", "some/folder"):
        assert code_of(reference) == "model_not_found"
    assert not (home() / "mlflow.db").exists()  # asking makes nothing


def test_the_store_is_in_the_home_folder_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tracking_uri() == f"sqlite:///{home()}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://models.example:5000")
    assert tracking_uri() == "http://models.example:5000"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://me:secret@db.example/nmr", "postgresql://…@db.example/nmr"),
        ("postgresql://me:s@cret@db.example/nmr", "postgresql://…@db.example/nmr"),
        ("postgresql://db.example/nmr?password=secret", "postgresql://db.example/nmr"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
    ],
)
def test_errors_do_not_tell_passwords(uri: str, said: str) -> None:
    assert _without_secrets(uri) == said


@pytest.mark.slow
def test_an_unreachable_registry_is_told_soon(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{closed_port}")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutsideError) as caught:
        resolve("champion")
    assert caught.value.code == "registry_unreachable"
    assert "secret" not in caught.value.message
    # MLflow's own seven would keep a person waiting for minutes.
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2


@pytest.mark.slow
def test_a_chosen_patience_is_kept(monkeypatch: pytest.MonkeyPatch, registry: Registry) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    assert client().get_model_version(MODEL_NAME, registry.latest)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"


@pytest.mark.slow
@pytest.mark.parametrize(
    "reference", ["candidate", "1", "models:/nmr@candidate", "models:/nmr/1", "folder"]
)
def test_every_kind_of_reference_leads_to_the_same_bundle(
    registry: Registry, reference: str
) -> None:
    path = resolve(str(resolve("1")) if reference == "folder" else reference)
    loaded = load_bundle(path)
    assert loaded.digest == registry.trained.digest
    assert loaded.version == "1"
    assert json.loads((path / REGISTRATION).read_text())["name"] == MODEL_NAME
    assert path.is_relative_to(home())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("champion", "no_champion"),
        ("models:/nmr@champion", "no_champion"),
        ("99", "model_not_found"),
        ("0", "model_not_found"),
        ("nobody", "model_not_found"),
        ("models:/nmr/99", "model_not_found"),
        ("models:/nmr@no-body", "model_not_found"),
    ],
)
def test_an_unknown_reference_is_refused(registry: Registry, reference: str, code: str) -> None:
    assert registry.latest == "1"
    assert code_of(reference) == code


@pytest.mark.slow
def test_an_alias_follows_its_version(registry: Registry) -> None:
    client().set_registered_model_alias(MODEL_NAME, "two-words", "1")
    before = resolve("models:/nmr@two-words")
    second = registry.add_version(card=(-0.01, -0.02, 0.0))
    client().set_registered_model_alias(MODEL_NAME, "two-words", second)
    after = resolve("models:/nmr@two-words")
    assert before != after
    assert [load_bundle(path).version for path in (before, after)] == ["1", second]
    assert load_bundle(resolve("candidate")).version == second


@pytest.mark.slow
def test_a_download_that_was_altered_is_refused(registry: Registry) -> None:
    path = resolve(registry.latest)
    assert path == resolve(registry.latest)  # from the cache
    (path / "power.lgb.txt").write_text("tree\n")
    with pytest.raises(DataError) as caught:
        load_bundle(resolve(registry.latest))
    assert caught.value.code == "bundle_altered"
    assert "power.lgb.txt" in caught.value.message
    # Without the altered copy it is fetched again.
    shutil.rmtree(path)
    assert load_bundle(resolve(registry.latest)).digest == registry.trained.digest


@pytest.mark.slow
def test_an_artefact_that_was_altered_in_the_store_is_not_kept(registry: Registry) -> None:
    number = registry.add_version()
    source = client().get_model_version(MODEL_NAME, number).source
    place = client().get_logged_model(source.rpartition("/")[2]).artifact_location
    card = Path(urlparse(place).path) / "bundle" / "card.json"
    card.write_text(card.read_text() + " ")
    for _ in range(2):
        assert code_of(number) == "bundle_altered"
    assert not list((home() / "models").rglob(MANIFEST))


@pytest.mark.slow
def test_a_model_of_another_kind_is_no_bundle(registry: Registry, tmp_path: Path) -> None:
    from mlflow.models import Model

    other = tmp_path / "other"
    other.mkdir()
    Model().save(str(other / "MLmodel"))
    assert registry.latest
    assert code_of(other.as_uri()) == "bundle_not_found"
    assert not (home() / "models").exists() or not list((home() / "models").rglob(MANIFEST))
