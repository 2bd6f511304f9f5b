"""Coverage-guided fuzzing of one kind of input: `python tests/fuzz/fuzz.py TARGET --runs N`.

TARGET is one of `fuzz_targets.TARGETS`, or `all`. An input that breaks the rules of
`fuzz_oracle` ends the run and is kept; `--keep FILE NAME` turns it into files of the corpus,
which `tests/fuzz/test_fuzz.py` replays from then on. Where atheris does not install there is
nothing to do but say so; the tests draw inputs without it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")


def main() -> int:
    """Fuzz, or keep what was found; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("target")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", default="fuzz-", help="how files of what was found begin")
    parser.add_argument("--keep", nargs=2, metavar=("FILE", "NAME"))
    given = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ["RBMIX_HOME"] = tempfile.mkdtemp(prefix="rbmix-fuzz-")
    if given.keep:
        return _keep(given.target, *given.keep)
    try:
        import atheris
    except ImportError as error:
        print(f"skipped: atheris is not installed here ({error})")
        return 0
    with atheris.instrument_imports(include=["robustbench_mix"]):
        import fuzz_targets
    if given.target == "all":
        words = ["--runs", str(given.runs), "--seed", str(given.seed), "--found", given.found]
        command = [sys.executable, __file__]
        return max(subprocess.call([*command, name, *words]) for name in fuzz_targets.TARGETS)

    import torch

    torch.set_num_threads(1)
    outcomes = {"done": 0, "refused": 0}
    started = time.monotonic()

    def one(raw: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="rbmix-fuzz-") as folder:
            outcomes[fuzz_targets.run(given.target, raw, Path(folder))] += 1
        count = sum(outcomes.values())
        if count % 500 == 0 or count == given.runs:
            seconds = time.monotonic() - started
            print(f"{given.target}: {count} inputs in {seconds:.0f} s, {outcomes}", flush=True)

    limits = [f"-runs={given.runs}", f"-seed={given.seed}", "-max_len=256", "-len_control=0"]
    quiet = [
        "-verbosity=0",
        "-timeout=120",
        "-rss_limit_mb=0",
        f"-artifact_prefix={given.found}{given.target}-",
    ]
    atheris.Setup([sys.argv[0], *limits, *quiet], one)
    atheris.Fuzz()
    return 0


def _keep(target: str, file: str, name: str) -> int:
    from fuzz_choices import Choices
    from fuzz_targets import TARGETS

    folder = CORPUS / target / name
    folder.mkdir(parents=True)
    TARGETS[target].make(Choices(Path(file).read_bytes()), folder)
    print(f"kept {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
