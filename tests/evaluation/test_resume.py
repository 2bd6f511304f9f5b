"""What is kept of a run while it runs, whole or in shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from msgspec import structs

from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import resume
from robustbench_mix.evaluation.resume import Saver, Shard, Sizes
from robustbench_mix.results.headers import RunIdentity

SIZES = Sizes(images=4, levels=3, steps=5, batch_size=8)


def saved(path: Path, header: RunIdentity, state) -> None:
    """Write a state at once."""
    saver = Saver(path, header)
    saver(state)
    saver.flush()


def test_what_is_saved_is_read(tmp_path: Path, identity: RunIdentity, make_state: Callable) -> None:
    """By the same run; without a file there is nothing."""
    path = resume.resume_state_path(tmp_path / "run.parquet")
    assert resume.read_state(path, identity, SIZES) is None
    assert not resume.has_state_of(path, identity)
    state = make_state(4, norm=[0.5] * 4, level=[0, 1, 2, 3])
    saved(path, identity, state)
    assert resume.read_state(path, identity, SIZES) == state
    assert resume.has_state_of(path, identity)


def test_another_run_starts_over(
    tmp_path: Path, identity: RunIdentity, make_state: Callable, capsys
) -> None:
    """And says so; of another commit it is still the state of such a run."""
    path = tmp_path / "state.json"
    saved(path, identity, make_state(4))
    commit = structs.replace(identity, commit="def")
    assert resume.read_state(path, commit, SIZES) is None
    assert "state.json is of another run (other commit): starting over" in capsys.readouterr().err
    assert resume.has_state_of(path, commit)
    renamed = structs.replace(identity, weights="renamed.pt")
    assert resume.read_state(path, renamed, SIZES) is not None
    assert resume.has_state_of(path, renamed)
    assert not resume.has_state_of(path, structs.replace(identity, seed=1))


def test_examples_are_saved_with_their_state(
    tmp_path: Path, identity: RunIdentity, make_state: Callable
) -> None:
    """Those of broken images come back; a state without them, or with others, is no use."""
    path = tmp_path / "state.json"
    found = torch.rand(4, 1, 2, 2)
    state = make_state(4, component=["", "pgd", "", "fgsm"], norm=[0.5] * 4)
    saver = Saver(path, identity, found)
    saver(state)
    saver.flush()
    other = torch.zeros(4, 1, 2, 2)
    assert resume.restore_examples(path, state, other) is state
    assert torch.equal(other[[1, 3]], found[[1, 3]])
    assert not other[[0, 2]].any()
    with pytest.raises(RbmixError, match="state.json is the state of another run.*delete it"):
        resume.check_free(path)
    with pytest.raises(RbmixError, match="state.json.examples is damaged"):
        resume.restore_examples(path, state, torch.zeros(4, 3, 2, 2))
    (tmp_path / "state.json.examples").unlink()
    assert resume.restore_examples(path, state, other) is None
    path.unlink()
    resume.check_free(path)


def test_a_header_of_another_version_is_not_such_a_run(tmp_path: Path, identity) -> None:
    """It is not called damaged either."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"header": {"format": 0}, "state": {}}))
    assert not resume.has_state_of(path, identity)
    assert resume.read_state(path, identity, SIZES) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"header": {}}', '{"header": 3, "state": {}}'])
def test_a_damaged_file_is_named(tmp_path: Path, identity: RunIdentity, text: str) -> None:
    """With what to do."""
    path = tmp_path / "state.json"
    path.write_text(text)
    for read in (lambda: resume.read_state(path, identity, SIZES),
                 lambda: resume.has_state_of(path, identity)):  # fmt: skip
        with pytest.raises(RbmixError, match="state.json is damaged.*; delete or move it$"):
            read()


def test_a_state_of_other_sizes_is_damaged(
    tmp_path: Path, identity: RunIdentity, make_state: Callable
) -> None:
    """Though its header is right."""
    path = tmp_path / "state.json"
    saved(path, identity, make_state(3))
    with pytest.raises(
        RbmixError, match=r"is damaged.* \(correct has 3 values .*; delete or move it"
    ):
        resume.read_state(path, identity, SIZES)


def test_it_is_written_every_few_seconds(
    tmp_path: Path, identity: RunIdentity, make_state: Callable, monkeypatch
) -> None:
    """A copy of what was said last, whatever the run does meanwhile."""
    now = [100.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    saver = Saver(tmp_path / "state.json", identity, saved_at=100.0)
    saver.flush()
    assert not saver.path.exists()
    state = make_state(4, norm=[0.5] * 4)
    saver(state)
    assert not saver.path.exists()
    now[0] += resume.SAVE_EVERY_SECONDS
    saver(state)
    state.level[0] = 0
    kept = resume.read_state(saver.path, identity, SIZES)
    assert kept.level == [3] * 4
    saver(state)
    state.level[0] = 2
    saver.flush()
    assert resume.read_state(saver.path, identity, SIZES).level == [0, 3, 3, 3]


@pytest.mark.parametrize(("images", "of"), [(10, 3), (4, 4), (2, 5), (0, 2)])
def test_shards_are_all_images(images: int, of: int) -> None:
    """Each once, in order, in parts that differ by one at most."""
    parts = [Shard(number, of).rows(images) for number in range(1, of + 1)]
    assert [row for part in parts for row in part] == list(range(images))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shards_are_found_by_name(tmp_path: Path) -> None:
    """One is enough to know the others; of several splits the most frequent."""
    records = tmp_path / "run[1].parquet"
    assert resume.find_shards(records) == []
    Shard(2, 3).path(records).write_text("")
    assert resume.find_shards(records) == [Shard(1, 3), Shard(2, 3), Shard(3, 3)]
    for wrong in ("run[1].shard-4-of-2.json", "run[1].shard-0-of-2.json", "run.shard-1-of-2.json",
                  "run[1].shard-1-of-2.json.part", "run1.shard-1-of-2.json"):  # fmt: skip
        (tmp_path / wrong).write_text("")
    assert len(resume.find_shards(records)) == 3
    for number in (1, 2):
        Shard(number, 2).path(records).write_text("")
    assert resume.find_shards(records) == [Shard(1, 2), Shard(2, 2)]


def test_shards_are_joined_when_all_are_there(
    tmp_path: Path, identity: RunIdentity, make_state: Callable
) -> None:
    """In their order; passes and seconds are sums, the batch is the smallest."""
    records = tmp_path / "run.parquet"
    parts = [
        make_state(2, level=[0, 1], norm=[0.5] * 2, attack_seconds=1.0, batch_size=4,
                   passes={"a": {"forward": 3, "gradient": 1}}),
        make_state(2, level=[2, 3], norm=[0.5] * 2, attack_seconds=2.0,
                   passes={"a": {"forward": 4, "gradient": 0}, "b": {"forward": 1, "gradient": 1}}),
    ]  # fmt: skip
    saved(Shard(1, 2).path(records), identity, parts[0])
    assert resume.join_shards(records, identity, SIZES) is None
    saved(Shard(2, 2).path(records), identity, parts[1])
    whole = resume.join_shards(records, identity, SIZES)
    assert whole.level == [0, 1, 2, 3]
    assert whole.passes == {"a": {"forward": 7, "gradient": 1}, "b": {"forward": 1, "gradient": 1}}
    assert (whole.attack_seconds, whole.batch_size) == (3.0, 4)
    assert asdict(resume.merge_states([whole])) == asdict(whole)
    assert parts[0].passes == {"a": {"forward": 3, "gradient": 1}}


def test_what_is_kept_goes_when_the_records_are_there(tmp_path: Path) -> None:
    """The state and every shard; other files stay."""
    records = tmp_path / "run.parquet"
    other = tmp_path / "other.shard-1-of-2.json"
    other.write_text("")
    assert not resume.has_resume_state(records)
    resume.resume_state_path(records).write_text("")
    assert resume.has_resume_state(records)
    resume.delete_resume_state(records)
    for number in (1, 2):
        Shard(number, 2).path(records).write_text("")
    assert resume.has_resume_state(records)
    resume.delete_resume_state(records)
    assert not resume.has_resume_state(records)
    assert list(tmp_path.iterdir()) == [other]
