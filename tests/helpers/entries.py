"""An entry as RobustBench has it, and a command in this process."""

from __future__ import annotations

import json
from pathlib import Path

from robustbench_mix import cli

# In the shape of model_info/cifar10/Linf/*.json of RobustBench; the paper is made up.
ENTRY = {
    "link": "https://example.org/paper",
    "name": "A Paper That | Nobody Wrote",
    "authors": "Ada First, Bea Last",
    "additional_data": True,
    "number_forward_passes": 1,
    "dataset": "cifar10",
    "venue": "GitHub,<br>Sep 2019",
    "architecture": "WideResNet-28-10",
    "eps": "2/255",
    "clean_acc": "86.46",
    "reported": "",
    "autoattack_acc": "56.03",
    "external": "55.10",
    "footnote": "It uses additional images.",
    "unreliable": False,
}
FULL = {"protocol": "autoattack", "protocol_spec": {"algorithm": "autoattack", "options": {}}}


def put(folder: Path, stem: str = "First2025Paper", norm: str = "Linf", **changes) -> Path:
    """Write the entry by hand, with changes, where RobustBench would."""
    path = folder / "cifar10" / norm / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**ENTRY, **changes}))
    return path


def rbmix(capsys, *words: object) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()
