"""Packages import in one direction, tests mirror them, and what starts quickly knows no torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import robustbench_mix

NAME = robustbench_mix.__name__
PACKAGE = Path(robustbench_mix.__file__).parent
# A package may import what stands in its row, and whatever that may import. The files at the
# root are rows of their own.
DIRECTION = {
    "errors": "",
    "runtime": "errors",
    "storage": "runtime",
    "config": "storage",
    "data": "config",
    "models": "data",
    "attacks": "models",
    "training": "attacks",
    "results": "config",
    "claims": "results",
    "evaluation": "training results",
    "api": "evaluation",
    "sweeps": "evaluation",
    "benchmarks": "evaluation",
    "__init__": "api",
    "cli": "__init__ sweeps benchmarks claims",
    "__main__": "cli",
}
# What may not import torch, or what imports it, when it is imported: whole packages and modules.
# `sweeps.plan` does import it: it prices what is missing by timing it.
TORCH_FREE = (
    "config", "storage", "results", "claims", "cli",
    "evaluation.plan", "evaluation.attack_plan", "evaluation.baseline_plan",
    "evaluation.data_plan", "evaluation.model_plan",
    "sweeps.cell_plans", "sweeps.definition", "sweeps.scheduler", "sweeps.status",
)  # fmt: skip
TORCH = {"torch", "torchvision"}
MAX_PARAMETERS = 8  # below the command line and the Python interface
LONG_SIGNATURES = {"models.separable.__init__"}  # that of PyTorch's Conv2d
# What everybody calls by another name, and the collisions that are left.
ALIASES = {
    "numpy as np", "pandas as pd", "pyarrow as pa", "torch.nn.functional as F",
    "xml.etree.ElementTree as ET",
}  # fmt: skip

# Modules without a test file of their own, and why. All others have one of their name in the folder
# of their package, `tests/<package>/test_<stem>.py`, those of its sub-packages too.
WITHOUT_TESTS = {"sweeps.executors.base": "a protocol and two records of data, no behaviour"}


def module_of(path: Path) -> str:
    """A file's dotted name below the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(source: str) -> set[str]:
    """Every module that the source imports, at any depth of nesting and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def targets(source: str) -> set[str]:
    """The rows of the table that the source imports from."""
    parts = [name.split(".") for name in imported(source)]
    ours = [[*rest, ""][0] for first, *rest in parts if first == NAME]
    # What is no package is a name that the root itself gives.
    return {name if name in DIRECTION else "__init__" for name in ours}


def allowed(row: str) -> set[str]:
    """The rows that a row may import from: those to its left, however far."""
    left = set(DIRECTION[row].split())
    return left.union(*(allowed(one) for one in left))


def offences(module: str, source: str) -> list[str]:
    """The imports of a module that go against the direction."""
    row = module.split(".")[0]
    return [f"{module} imports {name}" for name in sorted(targets(source) - {row} - allowed(row))]


def circle(sources: Iterable[tuple[str, str]]) -> list[str]:
    """The rows that import each other in a circle, from pairs of module and source."""
    arrows: dict[str, set[str]] = {}
    for module, source in sources:
        row = module.split(".")[0]
        arrows.setdefault(row, set()).update(targets(source) - {row})
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def is_torch_free(module: str) -> bool:
    """Whether the module is one of those of `TORCH_FREE`."""
    return any(module == one or module.startswith(f"{one}.") for one in TORCH_FREE)


def torch_in(module: str, source: str) -> list[str]:
    """The parts of torch that a module imports and may not."""
    if not is_torch_free(module):
        return []
    return sorted(name for name in imported(source) if name.split(".")[0] in TORCH)


def long_signatures(module: str, source: str) -> set[str]:
    """The functions of a module that take more than `MAX_PARAMETERS`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            count = len(given.posonlyargs + given.args + given.kwonlyargs)
            if count + bool(given.vararg) + bool(given.kwarg) > MAX_PARAMETERS:
                found.add(f"{module}.{node.name}")
    return found


def aliases(source: str) -> set[str]:
    """The imports of a module that give another name to what they import."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            found |= {f"{home}{one.name} as {one.asname}" for one in node.names if one.asname}
    return found


def test_signatures_are_short() -> None:
    """What a command or a Python call says is put together once, and goes on as one plan."""
    inner = [module for module in FILES if module.split(".")[0] not in ("api", "cli")]
    found = {
        name
        for module in inner
        for name in long_signatures(module, FILES[module].read_text(encoding="utf-8"))
    }
    assert found <= LONG_SIGNATURES
    names = ", ".join(f"{letter}=0" for letter in "abcdefgh")
    assert not long_signatures("m", f"def f({names}): ...")
    assert long_signatures("m", f"class C:\n  async def f(self, {names}): ...") == {"m.f"}
    assert long_signatures("m", f"def g():\n  def f({names}, *words): ...") == {"m.f"}


def mirrored(module: str) -> str:
    """Where the tests of a module belong, below `tests/`."""
    package, *_, stem = module.split(".")
    return f"{package}/test_{stem}.py"


def without_tests(modules: Iterable[str], tests: set[str]) -> set[str]:
    """The modules of packages whose test file is not there."""
    inner = {one for one in modules if "." in one and not one.endswith(".__init__")}
    return {one for one in inner if mirrored(one) not in tests}


def test_tests_mirror_the_packages(checkout: Path) -> None:
    """Every module of a package has a test file of its name, or a reason why not."""
    folder = checkout / "tests"
    tests = {one.relative_to(folder).as_posix() for one in folder.glob("*/test_*.py")}
    assert without_tests(FILES, tests) == set(WITHOUT_TESTS)
    there = {"a/test_b.py", "a/test_d.py"}
    assert without_tests(["a.__init__", "__main__", "a.b", "a.c.d", "a.c.__init__"], there) == set()
    assert without_tests(["a.b", "a.e", "c.b", "a.c.f"], there) == {"a.e", "c.b", "a.c.f"}


def test_names_do_not_collide() -> None:
    """No import needs another name than the one that its module gives."""
    found = set()
    for path in FILES.values():
        found |= aliases(path.read_text(encoding="utf-8"))
    assert found <= ALIASES
    assert aliases("def f():\n    from a.b import c as d, e") == {"a.b.c as d"}
    assert aliases("import a, b as c") == {"b as c"}


@pytest.mark.parametrize("module", FILES)
def test_imports_follow_the_direction(module: str) -> None:
    """No file imports against the direction of the packages, or torch where that is kept out."""
    source = FILES[module].read_text(encoding="utf-8")
    assert offences(module, source) == []
    assert torch_in(module, source) == []


def test_no_circle_between_packages() -> None:
    """The packages as they import each other can be put in a row, and all are in the table."""
    sources = [(module, path.read_text(encoding="utf-8")) for module, path in FILES.items()]
    assert circle(sources) == []
    assert {module.split(".")[0] for module in FILES} == set(DIRECTION)


def test_every_package_says_what_it_is_for() -> None:
    """The `__init__.py` of a package is one sentence; the command line's registers commands."""
    for module, path in FILES.items():
        if module.endswith(".__init__"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            doc = ast.get_docstring(tree)
            assert doc and doc.endswith("."), module
            assert len(tree.body) == 1 or module == "cli.__init__", module


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("config.model", "from robustbench_mix.models import factory"),
        ("models.mixers", "def f():\n    from robustbench_mix.training.classifier import train"),
        ("results.leaderboard", "import robustbench_mix.models.factory"),
        ("evaluation.fast", "from robustbench_mix.sweeps.plan import planned"),
        ("attacks.base", "if TYPE_CHECKING:\n    from robustbench_mix.evaluation import state"),
        ("sweeps.plan", "from robustbench_mix.benchmarks import run"),
        ("config.model", "from robustbench_mix import evaluate"),
    ],
)
def test_the_direction_can_be_broken(module: str, source: str) -> None:
    """The check sees imports to the right: nested ones, those for types, and of public names."""
    assert offences(module, source)


def test_a_circle_is_seen() -> None:
    """Of two packages that import each other, and of three."""
    two = [("data.a", f"import {NAME}.models.b"), ("models.b", f"from {NAME}.data import a")]
    three = [two[0], ("models.b", f"import {NAME}.attacks.c"), ("attacks.c", f"import {NAME}.data")]
    assert set(circle(two)) == {"data", "models"}
    assert set(circle(three)) == {"data", "models", "attacks"}
    assert torch_in("results.run", "def f():\n    import torch.nn")
    assert not torch_in("models.mixers", "import torch")


def test_the_page_names_what_is_there(checkout: Path) -> None:
    """Every file that it names exists, each table answers ten times, and no package is missing."""
    page = (checkout / "docs" / "architecture.md").read_text(encoding="utf-8")
    file = r"`((?:robustbench_mix|tests|attacks|docs)/[\w/]+\.\w+)`"
    assert [path for path in re.findall(file, page) if not (checkout / path).is_file()] == []
    for title in ("Where do I change ...", "A stranger's ten questions"):
        section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
        rows = [row for row in section.splitlines() if row.startswith("| ")][1:]
        assert len(rows) >= 10
        assert all(1 <= len(re.findall(file, row)) <= 2 for row in rows)
    # A function that it names is in the file that stands beside it.
    for name, path in re.findall(rf"`(\w+)` in {file}", page):
        assert f"def {name}(" in (checkout / path).read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert told == {module.split(".")[0] for module in FILES if "." in module}


@pytest.mark.default
def test_what_starts_quickly_imports_no_torch() -> None:
    """Importing all of these modules loads no torch, through whatever they import."""
    names = [
        f"{NAME}.{module}".removesuffix(".__init__") for module in FILES if is_torch_free(module)
    ]
    assert len(names) > len(TORCH_FREE)
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    assert not {TORCH!r} & sys.modules.keys(), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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


def docstrings(tree: ast.Module) -> set[int]:
    """The identities of the nodes that are docstrings."""
    bodies = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    firsts = [node.body[0] for node in ast.walk(tree) if isinstance(node, bodies) and node.body]
    return {id(first.value) for first in firsts if isinstance(first, ast.Expr)}


def test_no_message_names_a_document_of_the_checkout() -> None:
    """An installed user cannot open it: messages name a command instead, as in `rbmix flags`."""
    found, read = [], 0
    for path in FILES.values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        written = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                read += id(node) not in written
                if id(node) not in written and re.search(r"docs/|README", node.value):
                    found.append(f"{path.name}:{node.lineno}: {node.value}")
    assert read > 1000
    assert found == []
