"""Entries of RobustBench: made of runs, read from files, and put beside runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from entries import ENTRY, put, rbmix

from robustbench_mix.errors import RbmixError
from robustbench_mix.results.robustbench import model_info, side_by_side

TOLD = ["--name", "T", "--authors", "A. B", "--link", "https://example.org", "--venue", "V 2025"]


def test_an_entry_has_robustbench_s_shape(save, tmp_path: Path, monkeypatch, capsys) -> None:
    """Its fields in its order, per cent as texts; the exact counts and hashes under our key."""
    monkeypatch.chdir(tmp_path)
    save()
    code, out, _ = rbmix(capsys, "export", "results", "--eps", "2/255", *TOLD, "--json")
    assert code == 0
    found = json.loads(out)
    path = Path("model_info/cifar10/Linf/resnet14-learned-learned-s0.json")
    assert found["paths"] == [str(path)]
    entry = json.loads(path.read_text())
    assert entry == found["entry"]
    assert [key for key in ENTRY if key != "external"] == [key for key in entry if key != "rbmix"]
    kinds = {key: type(value) for key, value in ENTRY.items()}
    assert all(type(entry[key]) is kinds[key] for key in entry if key != "rbmix")
    assert (entry["clean_acc"], entry["autoattack_acc"]) == ("100.00", "40.00")
    assert entry["rbmix"]["robust"] == {"correct": 8, "n": 20}
    assert entry["rbmix"]["checkpoint_hash"] == "c"
    assert entry["additional_data"] is False
    assert found["to_fill"] == []
    assert found["remarks"] == [
        "its leaderboard of cifar10 in Linf has eps 8/255",
        "it evaluates 10,000 images of cifar10, this run 20",
    ]


def test_what_is_not_known_is_said(save, tmp_path: Path, capsys) -> None:
    """Nothing is invented: fields are marked, and the command lists them; flags are in it."""
    path = save(train_examples=None, epochs=None, weights="w.pt", spatial="external",
                channel="external", model="mynet:make")  # fmt: skip
    code, out, _ = rbmix(capsys, "export", path, "--eps", "1/255", "--out", tmp_path / "mi")
    assert code == 0
    assert "still to be filled: link, name, authors, additional_data, venue" in out
    assert "flag unchecked" in out
    (written,) = (tmp_path / "mi").rglob("*.json")
    entry = json.loads(written.read_text())
    assert entry["authors"] == "TO FILL: authors"
    assert entry["unreliable"] is True
    assert "rbmix flags unchecked" in entry["footnote"]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"protocol_spec": {"algorithm": "pgd"}}, "runs pgd, not AutoAttack"),
        ({"protocol_spec": {"algorithm": "autoattack-audited"}}, "not AutoAttack"),
        ({"protocol_spec": {"algorithm": "autoattack", "options": {"steps": 10}}}, "steps = 10"),
        ({"randomised": 10}, "deterministic"),
        (
            {"audit": [{"sampled": 4, "broken": 0, "bound": 0.1}] * 2},
            "only a sample of its images",
        ),
    ],
)
def test_only_the_full_autoattack_fills_it(save, tmp_path: Path, header, why, capsys) -> None:
    """Anything weaker is refused in one line, and leaves nothing."""
    path = save(**header)
    code, _, err = rbmix(capsys, "export", path, "--eps", "2/255", "--out", tmp_path / "mi")
    assert code == 2
    assert why in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "mi").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--seed", "1", "--eps", "4/255"],
            "'4/255' is not of this run (allowed: 1/255, 2/255)",
        ),
        ([], "epsilon '8/255' is not of this run"),
        (["--attack", "pgd"], "has protocol pgd (there are: autoattack)"),
        (["--seed", "7"], "has seed 7 (there are: 0, 1)"),
        (["--eps", "2/255"], "2 runs fit"),
        (["--seed", "1", "--eps", "2/255", "--reported", "many"], "'many' is not a figure"),
        (["--seed", "1", "--eps", "2/255", "--name", "a\x1bb"], "must be a text"),
    ],
)
def test_wrong_words_are_one_line(save, tmp_path: Path, words, message: str, capsys) -> None:
    """They name the value and what there is."""
    save(key="a")
    save(key="b", seed=1, checkpoint_hash="d")
    if not words:
        words = ["--seed", "1"]
    code, out, err = rbmix(capsys, "export", tmp_path / "results", *words)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[0]


def test_what_is_exported_can_be_read(save, tmp_path: Path, capsys) -> None:
    """The same accuracies, norm and epsilon, in both norms."""
    for norm, folder in (("linf", "Linf"), ("l2", "L2")):
        path = save(tmp_path / norm, norm=norm)
        words = ["--eps", "1/255", "--out", tmp_path / "mi", "--model-id", "Me2025"]
        assert rbmix(capsys, "export", path, *words)[0] == 0
        read = model_info.read(tmp_path / "mi" / "cifar10" / folder / "Me2025.json")
        assert (read.norm, read.entry.eps, read.model_id) == (norm, "1/255", "Me2025")
        assert model_info.parse_percent(read.entry.autoattack_acc) == 0.75
        assert model_info.parse_percent(read.entry.clean_acc) == 1.0
    assert len(side_by_side.entries(tmp_path / "mi")) == 2


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"clean_acc": "101"}, "clean_acc"),
        ({"clean_acc": "nan"}, "clean_acc"),
        ({"autoattack_acc": None}, "autoattack_acc"),
        ({"autoattack_acc": True}, "autoattack_acc"),
        ({"autoattack_acc": "9" * 50}, "autoattack_acc"),
        ({"eps": "-1"}, "eps"),
        ({"eps": 0.03}, "eps"),
        ({"dataset": ["cifar10"]}, "dataset"),
        ({"name": "x" * 20_000}, "name"),
        ({"footnote": "\x1b[31m"}, "footnote"),
        ({"additional_data": "yes"}, "additional_data"),
        ({"rbmix": {"norm": "l1"}}, "rbmix"),
        ({"rbmix": {"norm": "l2", "clean": {"correct": 1, "n": 1}}}, "it says L2"),
    ],
)
def test_entries_are_not_trusted(tmp_path: Path, changes, fragment: str) -> None:
    """What is of another kind is refused by name."""
    with pytest.raises(RbmixError, match="is no entry of RobustBench") as raised:
        model_info.read(put(tmp_path, **changes))
    assert fragment in str(raised.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"3", b" " * 2**21])
def test_files_that_are_no_entries(tmp_path: Path, raw: bytes) -> None:
    """Broken, deep or huge: an error, never a crash."""
    path = tmp_path / "Linf" / "x.json"
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(RbmixError, match="x.json"):
        model_info.read(path)


def test_a_norm_must_be_told(tmp_path: Path) -> None:
    """An entry does not say its norm; its folder does."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(ENTRY))
    with pytest.raises(RbmixError, match="its folder, Linf or L2"):
        model_info.read(path)
    with pytest.raises(RbmixError, match="holds no entries"):
        side_by_side.entries(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_results_of_two_machines_merge(save, tmp_path: Path, capsys) -> None:
    """Copying the records of one folder into another's gives the bytes of a single folder."""
    one, first, second = (tmp_path / name for name in ("one", "first", "second"))
    for seed in (0, 1):
        for spatial in ("learned", "frozen"):
            header = {"seed": seed, "spatial": spatial, "checkpoint_hash": f"{spatial}{seed}"}
            for folder in (one, (first, second)[seed]):
                save(folder, key=f"{seed}{spatial}", **header)
    shutil.copytree(second / "runs", first / "runs", dirs_exist_ok=True)
    for folder in (one, first):
        assert rbmix(capsys, "leaderboard", folder)[0] == 0
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert (one / name).read_bytes() == (first / name).read_bytes()
        assert (one / name).read_text().count("frozen") > 1
