"""Where the cache and the results are, and what users write for paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import paths

OURS = '[project]\nname = "robustbench-mix"\n'


@pytest.fixture
def checkout_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of rbmix, and the current folder in it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(OURS)
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `RBMIX_HOME`, with `~` for the home folder; an empty one is none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RBMIX_HOME", "~/cache")
    assert paths.cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("RBMIX_HOME", "")
    assert paths.cache_folder().name == "rbmix"
    monkeypatch.delenv("RBMIX_HOME")
    assert paths.cache_folder().name == "rbmix"


def test_results_of_a_checkout_are_not_its_evidence(
    checkout_of_ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its root by a relative path, from a folder below by a whole one."""
    assert paths.checkout_root() == checkout_of_ours
    assert paths.default_results_folder() == Path("local-results")
    monkeypatch.chdir(checkout_of_ours / "docs" / "deep")
    assert paths.checkout_root() == checkout_of_ours
    assert paths.default_results_folder() == checkout_of_ours / "local-results"


def test_elsewhere_results_are_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of nobody's."""
    monkeypatch.chdir(tmp_path)
    assert paths.checkout_root() is None
    assert paths.default_results_folder() == Path("results")


@pytest.mark.parametrize(
    "project", ['[project]\nname = "other"\n', "project = 1", "[", "\0", '[tool]\nname = "x"\n']
)
def test_another_project_is_not_ours(checkout_of_ours: Path, project: str) -> None:
    """Nor is one whose pyproject.toml cannot be read."""
    (checkout_of_ours / "pyproject.toml").write_text(project)
    assert paths.checkout_root() is None


def test_a_checkout_within_ours_is_its_own(
    checkout_of_ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest root decides."""
    inner = checkout_of_ours / "docs"
    (inner / ".git").mkdir()
    monkeypatch.chdir(inner / "deep")
    assert paths.checkout_root() is None


def test_sources_without_git_are_ours_at_their_root_alone(
    checkout_of_ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are unpacked from an sdist."""
    (checkout_of_ours / ".git").rmdir()
    assert paths.checkout_root() == checkout_of_ours
    monkeypatch.chdir(checkout_of_ours / "docs")
    assert paths.checkout_root() is None


def test_paths_as_users_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a home folder, unless nobody has such a name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.parse_path("~/a") == tmp_path / "a"
    assert paths.parse_path("a/../b") == Path("a/../b")
    for wrong in ("~nobody-of-this-name/a", "a\0b"):
        with pytest.raises(RbmixError, match="is no path"):
            paths.parse_path(wrong)


@pytest.mark.parametrize(
    ("name", "wanted"), [(".", True), ("file", False), ("none", False), ("a\0b", False),
                         ("n" * 5000, False)],
)  # fmt: skip
def test_folders(tmp_path: Path, name: str, wanted: bool) -> None:
    """What cannot even be a name is none."""
    (tmp_path / "file").write_text("")
    assert paths.is_folder(tmp_path / name) is wanted
