"""What is published: the page on a package index, and the wheel in a fresh environment."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
import release

from robustbench_mix import __version__

pytestmark = pytest.mark.default


def test_the_index_page_has_no_dead_links(checkout: Path) -> None:
    """What pyproject.toml substitutes leaves words, and no path that only the checkout has."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    page = (checkout / "README.md").read_text(encoding="utf-8")
    assert release.dead_links(page)
    rules = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    for rule in rules:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    assert release.dead_links(page) == []
    assert "regression gate" in page
    assert "](https://arxiv.org/abs/2503.16760)" in page


def test_the_changelog_knows_this_version(checkout: Path) -> None:
    """There is a section for it, which says something."""
    text = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b.*\n\n- \w", text, re.MULTILINE)


@pytest.mark.slow
def test_the_wheel_runs_the_readme_s_command_in_a_fresh_environment(tmp_path: Path) -> None:
    """With the dependencies lent by this one; `tox run -e release` installs those too."""
    wheel, _ = release.build(tmp_path / "dist")
    with zipfile.ZipFile(wheel) as packed:
        assert "robustbench_mix/py.typed" in packed.namelist()
    rbmix = release.install(wheel, tmp_path / "venv", borrow=True)
    release.use(rbmix, tmp_path / "work", release.FULL)
