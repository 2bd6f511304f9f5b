"""The architecture's rules: imports point down, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import robustbench_mix

PACKAGE = Path(robustbench_mix.__file__).parent
FLOORS = {
    0: "errors specs files progress markdown provenance protocols records recipes tables "
    "decodings intervals evidence grids paper probes flags locks plugins "
    "baselines reading headers names places atomic mirrors agenda ongoing pace state "
    "checking schemas sweep_checks",
    1: "filters mixing fuse graphs resnet convmixer splits folders data norms streams draws "
    "devices memory unfinished shapes normalized threads",
    2: "zoo sources weights checkpoints algorithms measures diagnostics anatomy operations",
    3: "fit train unshuffle obtain harness audit search identity evaluation jobs api bench "
    "costs runner runners "
    "sweeping sweeps unshuffle_run probing checkup brought gating verdicts schedules "
    "workers cluster planning partials expected outcome describing compiled",
    4: "leaderboard claims agreement explanations report pages plot drawing show gallery "
    "show_sweeps regression ci result model_info beside",
    5: "__init__ cli __main__ python",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}
FORBIDDEN = {0: {"torch", "torchvision"}, 4: {"torch", "torchvision"}, 5: {"torch"}}
ON_USE = {"python"}  # imported when somebody calls it, with a network in hand


def concept(path: Path) -> str:
    """A file's name on the floor plan; a sub-package counts as one."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: str) -> set[str]:
    """Every absolute module name that the source imports, at any depth of nesting."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def offences(name: str, source: str) -> list[str]:
    """The imports of a file that break the floor plan."""
    floor = FLOOR[name]
    bad = []
    for module in imported(source):
        parts = module.split(".")
        if parts[0] == "robustbench_mix":
            # What is not a file is a name that the package itself gives.
            target = parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"
            if FLOOR[target] > floor:
                bad.append(f"{name} (floor {floor}) imports {target} (floor {FLOOR[target]})")
            if floor == 4 and FLOOR[target] in (1, 2, 3):
                bad.append(f"{name} knows more than records: {target}")
        elif name not in ON_USE and parts[0] in FORBIDDEN.get(floor, set()):
            bad.append(f"{name} imports {parts[0]}")
    return bad


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_imports_point_down(path: Path) -> None:
    """No file knows a file of a floor above it, and floors 0, 4 and 5 do not know torch."""
    assert offences(concept(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("specs", "from robustbench_mix import zoo"),
        ("mixing", "def f():\n    from robustbench_mix.train import train"),
        ("leaderboard", "import robustbench_mix.zoo"),
        ("records", "import torch.nn"),
    ],
)
def test_the_check_can_fail(name: str, source: str) -> None:
    """The floor check sees upward imports, nested ones and torch."""
    assert offences(name, source)


@pytest.mark.default
@pytest.mark.parametrize("arguments", [["--help"], ["leaderboard", "nowhere"], ["attacks"]])
def test_light_commands_do_not_import_torch(arguments: list[str], tmp_path: Path) -> None:
    """Help, leaderboard and protocol listing start without torch."""
    code = (
        "import sys; from robustbench_mix.cli import main; "
        f"main({arguments!r}); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "False"
