"""What `AutoAttack` says: the lines of the original class, and the flags."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from robustbench_mix.attacks.norms import distance
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.errors import RbmixError
from robustbench_mix.results.records import Run

PLACING = "fgsm"  # the step that the fast engine tries before the attacks of an ensemble


class Log:
    """Print lines, and append them to a file.

    Args:
        log_path: The file; None for none.

    Raises:
        RbmixError: The folder of the file does not exist.
    """

    def __init__(self, log_path: str | Path | None = None) -> None:
        self.log_path = log_path
        if log_path is not None:
            check_parent("log_path", Path(log_path))

    def log(self, line: str, *, quiet: bool = False) -> None:
        """Print a line unless `quiet`; write it to the file if there is one.

        Raises:
            RbmixError: The file cannot be written.
        """
        if not quiet:
            print(line)
        if self.log_path is None:
            return
        try:
            with Path(self.log_path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RbmixError(f"cannot write log_path {self.log_path}: {error.strerror}") from error


def check_parent(name: str, path: Path) -> None:
    """Raise RbmixError unless a file can be at `path`: its folder exists, and it is none itself."""
    if not path.parent.is_dir():
        raise RbmixError(f"{name} {path}: folder {path.parent} does not exist")
    if path.is_dir():
        raise RbmixError(f"{name} {path} is a folder (needs a file)")


def lines_of(
    run: Run,
    x_adv: Tensor,
    x: Tensor,
    components: list[str],
    seconds: float,
    raised: dict[str, str],
) -> list[str]:
    """Return the lines about a finished attack at one epsilon.

    Args:
        run: Its records.
        x_adv: The images with the examples found, (n, C, H, W).
        x: The images, (n, C, H, W).
        components: The attacks, in order.
        seconds: How long it took.
        raised: The flags.
    """
    n, correct = len(run.table), int(run.table["correct"].sum())
    lines = [f"initial accuracy: {correct / n:.2%}"]
    broken_by = [names[0] for names in run.table["component"]]
    ran = [*([PLACING] if PLACING in run.header.passes else []), *components]
    standing = correct
    for name in ran:
        standing -= broken_by.count(name)
        placing = ", the step that places images" if name == PLACING else ""
        lines.append(f"robust accuracy after {name.upper()}{placing}: {standing / n:.2%}")
    reach = float(distance(x_adv, x, run.header.norm).max())
    lines.append(
        f"max {ROBUSTBENCH[run.header.norm]} perturbation: {reach:.5f}, nan in tensor: "
        f"{int(x_adv.isnan().sum())}, max: {float(x_adv.max()):.5f}, min: {float(x_adv.min()):.5f}"
    )
    lines += [f"flag {name}: {words}" for name, words in raised.items()]
    robust = int(run.standing().iloc[:, -1].sum()) / n
    return [
        *lines,
        f"total time {seconds:.1f} s",
        f"robust accuracy: {robust:.2%} ({', '.join(components)})",
    ]
