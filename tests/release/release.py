"""What would be published, built and tried: `python tests/release/release.py [--borrow]`.

Wheel and sdist are built from a clean copy of what git knows, checked by twine and
check-wheel-contents, CITATION.cff by cffconvert; then the wheel is installed into a fresh
virtual environment, and the command of the README is run there, far from the checkout.

`--borrow` takes the dependencies from the environment that runs this: seconds instead of
gigabytes, but it cannot see a dependency that pyproject.toml forgets. `--full` runs the command
as the README gives it, which takes minutes, instead of a small one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FULL = ["evaluate", "--model", "resnet18", "--spatial", "frozen", "--attack", "autoattack"]
SMALL = [
    "evaluate", "--model", "resnet14_w4", "--spatial", "frozen", "--attack", "pgd",
    "--examples", "8", "--epochs", "1", "--train-examples", "100",
]  # fmt: skip


def run(*words: str | Path, **options: object) -> None:
    """A command, shown; raises CalledProcessError if it fails."""
    print("+", *words, flush=True)
    subprocess.run([str(word) for word in words], check=True, **options)  # type: ignore[call-overload]


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist in the folder, the wheel built from the sdist."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def check(wheel: Path, sdist: Path) -> None:
    """What the index, and those who cite, would object to."""
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    run(sys.executable, "-m", "check_wheel_contents", wheel)
    with zipfile.ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        dead = dead_links(file.read(name).decode("utf-8"))
    assert not dead, f"links that lead nowhere from an index: {dead}"
    run(Path(sys.executable).with_name("cffconvert"), "--validate", "-i", ROOT / "CITATION.cff")


def dead_links(page: str) -> list[str]:
    """Links and pictures of a Markdown page that are no web addresses."""
    return re.findall(r"\]\((?!https?:)[^)]*\)", page)


def install(wheel: Path, folder: Path, *, borrow: bool) -> Path:
    """A fresh environment with the wheel in it; the path of its `rbmix`."""
    venv.create(folder, with_pip=True)
    python = next(p for p in (folder / "bin/python", folder / "Scripts/python.exe") if p.exists())
    if borrow:
        words = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = subprocess.run([python, "-c", words], check=True, capture_output=True, text=True)
        lent = Path(own.stdout.strip()) / "lent.pth"  # searched after what is installed
        ours = [path for path in sys.path if path.endswith("site-packages")]
        lent.write_text("\n".join(ours) + "\n")
    run(python, "-m", "pip", "install", "--quiet", *(["--no-deps"] * borrow), wheel)
    return python.with_name("rbmix")


def use(rbmix: Path, folder: Path, words: list[str]) -> None:
    """The user's command in an empty folder; the package must be the installed one."""
    folder.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["RBMIX_HOME"] = str(folder / "home")
    where = "import robustbench_mix; print(robustbench_mix.__file__)"
    python = rbmix.with_name("python")
    found = subprocess.run(
        [python, "-I", "-c", where], check=True, capture_output=True, text=True, cwd=folder
    ).stdout
    assert Path(found).is_relative_to(rbmix.parent.parent), f"not the wheel's: {found}"
    run(rbmix, "--version", cwd=folder, env=environment)
    run(rbmix, *words, cwd=folder, env=environment)
    assert (folder / "results" / "leaderboard.md").is_file()
    assert list((folder / "results" / "runs").glob("*/*.parquet"))


def main() -> None:
    """Everything, in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--borrow", action="store_true")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, sdist = build(folder / "dist")
        check(wheel, sdist)
        rbmix = install(wheel, folder / "venv", borrow=given.borrow)
        use(rbmix, folder / "work", FULL if given.full else SMALL)
    print("the release can be published")


if __name__ == "__main__":
    main()
