"""One process at a time, and what a killed one left is removed."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
from filelock import FileLock, Timeout

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import locks
from robustbench_mix.storage.atomic import partial_suffix
from robustbench_mix.storage.files import replacing
from robustbench_mix.storage.locks import exclusive_lock


def test_what_a_killed_writer_left_is_cleared_away(home: Path, tmp_path: Path) -> None:
    """Its own half-written files and those beside it; no other file's, nor another machine's."""
    path = tmp_path / "run.parquet"
    for name in ("run.parquet", "run.json", "run.partial.json", "runs.parquet", "other.parquet"):
        (tmp_path / f".{name}.abc{partial_suffix()}").write_text("half")
    (tmp_path / ".run.json.abc.elsewhere.part").write_text("half")
    with exclusive_lock(path), replacing(path) as temporary:
        temporary.write_text("whole")
    left = sorted(one.name for one in tmp_path.iterdir() if one.is_file())
    others = (f".{name}.parquet.abc{partial_suffix()}" for name in ("other", "runs"))
    assert left == sorted([*others, ".run.json.abc.elsewhere.part", "run.parquet"])


def test_a_cache_that_cannot_be_locked(tmp_path: Path, monkeypatch) -> None:
    """One line, no traceback."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "file"))
    with (
        pytest.raises(RbmixError, match=r"cannot lock .*file.locks"),
        exclusive_lock(tmp_path / "x.csv"),
    ):
        pass


def test_a_lock_is_of_its_path_alone(home: Path, tmp_path: Path) -> None:
    """Whichever way it is written; another path has another lock, and both go in the cache."""
    path = tmp_path / "a.csv"
    with exclusive_lock(path), exclusive_lock(tmp_path / "b.csv"):
        held = sorted((home / "locks").iterdir())
    with exclusive_lock(tmp_path / "folder" / ".." / "a.csv"):
        pass
    assert len(held) == 2
    assert sorted((home / "locks").iterdir()) == held
    assert not list(tmp_path.glob("*.csv"))


def test_a_mark_is_seen_while_its_process_lives(home: Path, tmp_path: Path) -> None:
    """Of its path alone; nobody waits for it, and it goes with the block."""
    path = tmp_path / "a.json"
    assert not locks.is_marked(path)
    with pytest.raises(KeyError), locks.mark(path):
        assert locks.is_marked(path)
        assert not locks.is_marked(tmp_path / "b.json")
        with exclusive_lock(path):
            pass
        raise KeyError
    assert not locks.is_marked(path)


def test_the_lock_is_held_within_the_block_alone(home: Path, tmp_path: Path) -> None:
    """Also where the block fails."""
    with pytest.raises(KeyError), exclusive_lock(tmp_path / "a.csv"):
        (place,) = (home / "locks").iterdir()
        with pytest.raises(Timeout):
            FileLock(place).acquire(timeout=0)
        raise KeyError
    with FileLock(place).acquire(timeout=0):
        pass


def test_waiting_is_said(home: Path, tmp_path: Path, capsys) -> None:
    """Once, with the path; the block begins when the other is through."""
    path, order, began = tmp_path / "a.csv", [], Event()

    def other() -> None:
        with exclusive_lock(path):
            began.set()
            sleep(0.1)
            order.append("other")

    thread = Thread(target=other)
    thread.start()
    began.wait()
    with exclusive_lock(path):
        order.append("own")
    thread.join()
    assert order == ["other", "own"]
    assert capsys.readouterr().err == f"another process works on {path}: waiting for it\n"


def test_of_a_folder_everything_half_written_goes(home: Path, tmp_path: Path) -> None:
    """What this machine left, directly in it; whole files stay."""
    half = tmp_path / f".table.csv.abc{partial_suffix()}"
    whole, inner = tmp_path / "table.csv", tmp_path / "inner" / half.name
    inner.parent.mkdir()
    for path in (half, whole, inner):
        path.write_text("x")
    with exclusive_lock(tmp_path):
        assert not half.exists()
    assert whole.exists()
    assert inner.exists()


def test_names_with_wildcards_are_names(home: Path, tmp_path: Path) -> None:
    """`[ab]` in a file name removes nothing of `a`."""
    other = tmp_path / f".a.csv.abc{partial_suffix()}"
    other.write_text("x")
    with exclusive_lock(tmp_path / "[ab].csv"):
        pass
    assert other.exists()


def test_a_loop_of_links_is_no_path(home: Path, tmp_path: Path) -> None:
    """One line that names it."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(RbmixError, match="cannot lock .*loop"), exclusive_lock(loop / "a.csv"):
        pytest.fail("the block was entered")
