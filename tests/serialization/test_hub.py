"""torch.hub: folders with a hubconf.py, files that were fetched before, and no network."""

from __future__ import annotations

import hashlib
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

import flambeau as t
from flambeau import hub

CONF = '''
dependencies = ["torch", "numpy"]
import helper

def tiny(width, bias=True):
    """A tiny model."""
    import flambeau
    return flambeau.nn.Linear(width, helper.OUT, bias=bias)

def _hidden():
    pass
'''


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    before = hub._directory
    hub.set_dir(tmp_path / "hub")
    yield tmp_path / "hub"
    hub._directory = before


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "hubconf.py").write_text(CONF)
    (folder / "helper.py").write_text("OUT = 2\n")
    return folder


def test_a_folder_of_ones_own(repository: Path) -> None:
    assert hub.list(repository, source="local") == ["tiny"]
    assert hub.help(repository, "tiny", source="local") == "A tiny model."
    model = hub.load(repository, "tiny", 3, source="local", bias=False)
    assert repr(model) == "Linear(in_features=3, out_features=2, bias=False)"
    with pytest.raises(RuntimeError, match="Cannot find callable no_such in hubconf"):
        hub.load(repository, "no_such", source="local")
    with pytest.raises(ValueError, match="Unknown source"):
        hub.load(repository, "tiny", source="elsewhere")
    (repository / "hubconf.py").write_text('dependencies = ["no_such_package"]\n')
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_package"):
        hub.list(repository, source="local")
    (repository / "hubconf.py").unlink()
    with pytest.raises(FileNotFoundError, match="hubconf.py is not there"):
        hub.list(repository, source="local")


def test_a_repository_runs_only_if_it_is_trusted(home: Path, repository: Path) -> None:
    home.mkdir()
    repository.rename(home / "owner_name_main")
    with pytest.raises(PermissionError, match="trust_repo=True"):
        hub.load("owner/name", "tiny", 3)
    assert hub.load("owner/name", "tiny", 3, trust_repo=True).in_features == 3
    assert hub.load("owner/name:main", "tiny", 4).in_features == 4
    with pytest.raises(ValueError, match="owner/name"):
        hub.load("../../etc", "tiny")


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    source = tmp_path / "weights.pt"
    t.save({"w": t.arange(3.0)}, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    named = tmp_path / f"net-{digest[:8]}.pt"
    source.rename(named)
    url = named.as_uri()
    assert hub.load_state_dict_from_url(url, check_hash=True)["w"].tolist() == [0, 1, 2]
    named.unlink()
    assert hub.load_state_dict_from_url(url, check_hash=True)["w"].tolist() == [0, 1, 2]
    other = tmp_path / "other.pt"
    other.write_bytes(b"x")
    target = tmp_path / "target.pt"
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.download_url_to_file(other.as_uri(), str(target), "0000", progress=False)
    assert not target.exists()


def test_without_a_network_the_error_says_what_to_do(home: Path) -> None:
    with pytest.raises(urllib.error.URLError) as caught:
        hub.load_state_dict_from_url("https://nowhere.invalid/net.pt")
    text = str(caught.value)
    assert "nowhere.invalid/net.pt cannot be reached" in text and "offline?" in text
    assert str(home / "checkpoints" / "net.pt") in text
