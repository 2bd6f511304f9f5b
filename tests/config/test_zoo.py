"""The zoo: found, read by name and hash, or refused in one line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import networks
import pytest
from msgspec.structs import replace

from robustbench_mix.config import zoo
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.config.zoo import Entry
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import zoo_folder

FROZEN = "resnet14_w4-frozen-learned-s0-digits"
NAMES = [FROZEN, "resnet14_w4-learned-learned-s0-digits"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A zoo of two small networks, named by the variable."""
    found = tmp_path / "zoo"
    zoo_folder.add([networks.path("learned"), networks.path("frozen")], found)
    monkeypatch.setenv(zoo.VARIABLE, str(found))
    return found


def test_networks_of_a_folder(folder: Path) -> None:
    """Each has its words, its accuracy and its hashes; a file is where the folder is."""
    assert [one.name for one in zoo.entries()] == NAMES
    found = zoo.find(f"zoo:{FROZEN}")
    assert (found.model, found.spatial, found.seed) == ("resnet14_w4", "frozen", 0)
    assert 0.9 < found.test_accuracy < 1
    path = zoo.fetch(found)
    assert path == folder / f"{FROZEN}.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == found.sha256
    assert zoo.find(f"zoo:{FROZEN}@{found.weights_hash}") == found


def test_networks_of_a_url(folder: Path, home: Path, monkeypatch) -> None:
    """They are downloaded into the cache once, and again if the cache is damaged."""
    system = fsspec.filesystem("memory")
    for path in folder.iterdir():
        system.pipe_file(f"/some/zoo/{path.name}", path.read_bytes())
    monkeypatch.setenv(zoo.VARIABLE, "memory://some/zoo/")
    entry = zoo.find(f"zoo:{FROZEN}")
    path = zoo.fetch(entry)
    assert path.is_relative_to(home)
    assert path.read_bytes() == (folder / entry.file).read_bytes()
    path.write_bytes(b"x")
    assert zoo.fetch(entry).read_bytes() == (folder / entry.file).read_bytes()
    system.rm_file(f"/some/zoo/{entry.file}")
    assert zoo.fetch(entry) == path  # from the cache
    path.unlink()
    with pytest.raises(RbmixError, match="cannot read network of the zoo memory://some/zoo/res"):
        zoo.fetch(entry)


def test_other_bytes_are_refused(folder: Path) -> None:
    """A network is what the table says, from a folder and from a URL."""
    entry = zoo.find(f"zoo:{FROZEN}")
    path = folder / entry.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RbmixError, match="is not the file in the table of the zoo"):
        zoo.fetch(entry)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(RbmixError, match="allowed: at most"):
        zoo.fetch(entry)
    system = fsspec.filesystem("memory")
    system.pipe_file(f"/other/{entry.file}", b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(zoo.VARIABLE, "memory://other")
        with pytest.raises(RbmixError, match="is not the file in the table"):
            zoo.fetch(entry)


def test_wrong_names_and_hashes(folder: Path) -> None:
    """The nearest name is suggested; another hash is another network."""
    with pytest.raises(RbmixError, match=f"unknown network of the zoo .* did you mean '{FROZEN}'"):
        zoo.find("zoo:resnet14_w4-frozen-learned-s1-digits")
    with pytest.raises(RbmixError, match=r"has the weights [0-9a-f]{12}, not abc"):
        zoo.find(f"zoo:{FROZEN}@abc")


def test_the_words_of_a_network(folder: Path) -> None:
    """Those that are not given are its own; another one is refused."""
    entry = zoo.find(f"zoo:{FROZEN}")
    own = ("resnet14_w4", "frozen", "learned", 0)
    assert entry.words(None, None, None, None) == own
    assert entry.words(*own) == own
    with pytest.raises(RbmixError, match="has spatial frozen, not learned"):
        entry.words(None, "learned", None, None)
    with pytest.raises(RbmixError, match="has seed 0, not 3"):
        entry.words(None, None, None, 3)
    assert zoo.is_in_zoo(WeightsFile(Path("zoo:x")))
    assert not zoo.is_in_zoo(WeightsFile(Path("zoo/x")))


def test_where_the_zoo_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, else the checkout; an installed package says where one can be had."""
    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RbmixError, match="no zoo here.*set RBMIX_ZOO to the folder or URL"):
        zoo.entries()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "robustbench-mix"\n')
    assert zoo.location() == str(tmp_path / "results" / "checkpoints")
    with pytest.raises(RbmixError, match="is no folder"):
        zoo.entries()
    monkeypatch.setenv(zoo.VARIABLE, "s3://bucket/zoo/")
    assert zoo.location() == "s3://bucket/zoo"


def row(**changes) -> Entry:
    """A row of a table."""
    usual = Entry(
        name="a", model="resnet14", spatial="frozen", channel="learned", seed=1, dataset="digits",
        train_examples=10, epochs=2, adversarial="", test_accuracy=0.5, weights_hash="0" * 12,
        sha256="1" * 64, size_bytes=9,
    )  # fmt: skip
    return replace(usual, **changes)


def test_a_table_is_what_it_was() -> None:
    """Numbers stay numbers."""
    rows = [row(), row(name="b", adversarial="8/255", test_accuracy=1 / 3)]
    assert zoo.parse_table(zoo.table_text(rows).encode(), "here") == rows


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("a,resnet14", "../a,resnet14"),
        lambda text: text.replace(",frozen,", ",frozn,"),
        lambda text: text.replace(",0.5,", ",nan,"),
        lambda text: text.replace(",0.5,", ",,"),
        lambda text: text.replace("1" * 64, "x"),
        lambda text: text.replace("size_bytes", "size"),
        lambda text: text + text.splitlines()[1],
        lambda text: text[:-20],
        lambda text: text.rstrip() + ",more\n",
        lambda text: "\xff",
    ],
)
def test_damaged_tables(change) -> None:
    """A name that leads out of the folder, other words, numbers and columns, a name twice."""
    with pytest.raises(RbmixError, match="table of the zoo here is damaged"):
        zoo.parse_table(change(zoo.table_text([row()])).encode("latin-1"), "here")
