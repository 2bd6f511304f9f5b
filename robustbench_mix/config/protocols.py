"""Attack protocols, which `--attack NAME` selects, read from TOML.

A protocol names an algorithm, a norm, an epsilon grid per data set, and the options that
the algorithm takes. The files ship with the package; a path works as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, SupportsFloat

from robustbench_mix.config import norms
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.catalog import FOOLBOX
from robustbench_mix.config.epsilon import Eps, parse_grid, spelled_as, texts_of
from robustbench_mix.config.limits import check_name
from robustbench_mix.config.words import Norm
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.storage import reading
from robustbench_mix.storage.paths import parse_path

FIELDS = {"summary", "algorithm", "norm", "eps", "options"}


@dataclass(frozen=True)
class Protocol:
    """One attack protocol, with its grid of epsilons chosen.

    Attributes:
        name: Its name, as in `--attack NAME`. It does not change the hash.
        summary: One line for `rbmix attacks`. It does not change the hash.
        algorithm: The algorithm, as `"pgd"`, `"autoattack"` or `"foolbox:LinfDeepFoolAttack"`.
        norm: Norm of the radii: `"linf"`, `"l2"` or `"l1"`, in any usual spelling.
        eps: The radii in pixel units, in ascending order; texts and numbers become such. They may
            be empty if `evaluate` gets `eps`.
        options: Options of the algorithm, for example `{"steps": 40}`.

    Raises:
        RbmixError: There is no such norm, or an epsilon is none.
    """

    name: str
    summary: str
    algorithm: str
    norm: str
    eps: tuple[Eps, ...]
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", norms.parse(self.norm))
        object.__setattr__(self, "options", _plain(self.options))
        given = (self.eps,) if isinstance(self.eps, str | SupportsFloat) else tuple(self.eps)
        if not all(isinstance(one, Eps) for one in given):
            texts = [one.text if isinstance(one, Eps) else one for one in given]
            object.__setattr__(self, "eps", parse_grid(texts_of(texts), self.norm))

    def as_json(self) -> dict[str, object]:
        """Return everything that decides the outcome, and the name, as plain JSON values."""
        return {
            "name": self.name,
            "algorithm": self.algorithm,
            "norm": self.norm,
            "eps": [eps.text for eps in self.eps],
            "options": dict(self.options),
        }

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with anything that decides the outcome."""
        return short_hash({k: v for k, v in self.as_json().items() if k != "name"})


def _plain(value: Any) -> Any:
    """Return options with numbers of NumPy or PyTorch as Python's own."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if getattr(value, "ndim", None) == 0 else value


def folder() -> Path:
    """Return the folder of the shipped protocols: in the installed package, else the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "attack_specs"
    return installed if installed.is_dir() else package.parent / "attacks"


def names() -> list[str]:
    """Return the names of the shipped protocols, sorted."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(
    name: str, dataset: str, *, eps: list[str] | None = None, norm: Norm | None = None
) -> Protocol:
    """Read a protocol by name or path.

    Args:
        name: The name of a shipped protocol, the path of a TOML file, or an attack of foolbox, as
            `foolbox:LinfDeepFoolAttack`, which needs `eps`.
        dataset: The name of the data set, which may have its own grid.
        eps: Epsilons instead of the protocol's.
        norm: The norm instead of the protocol's; it needs `eps`.

    Raises:
        RbmixError: The name is unknown, the file is missing or malformed, or an epsilon or the
            norm is not allowed.
    """
    if name.startswith(FOOLBOX):
        return _of_foolbox(name, eps, norm)
    is_path = name.endswith(".toml") or "/" in name
    name = name if is_path else name.lower()
    path = parse_path(name) if is_path else folder() / f"{name}.toml"
    if not is_path and name not in names():
        raise unknown("attack", name, names(), also=f"{FOOLBOX}NAME, or a path to a .toml file")
    stem = check_name("protocol", path.stem)
    raw = reading.read_toml(path, "protocol")
    return parse(raw, stem, dataset, eps=eps, norm=norm, source=str(path))


def _of_foolbox(word: str, eps: list[str] | None, norm: Norm | None) -> Protocol:
    """Return the protocol of an attack of foolbox with its default options."""
    if eps is None:
        raise RbmixError(f"attack {word!r} has no grid of epsilons; give one with --eps")
    name = check_name("attack", word)
    if norm is None:  # foolbox's names begin with it
        start = name.removeprefix(FOOLBOX)[:2].lower()
        norm = start if start in norms.NORMS else "linf"
    norm = norms.parse(norm)
    return Protocol(name, "", name, norm, parse_grid(eps, norm))


def parse(
    raw: dict[str, Any],
    name: str,
    dataset: str,
    *,
    eps: list[str] | None = None,
    norm: Norm | None = None,
    source: str = "protocol",
) -> Protocol:
    """Check a protocol's TOML table and choose the grid for `dataset`.

    Args:
        raw: The content of the file.
        name: The name of the protocol.
        dataset: The name of the data set, which may have its own grid.
        eps: Epsilons instead of the protocol's.
        norm: The norm instead of the protocol's; it needs `eps`.
        source: Words for the file, for messages.

    Raises:
        RbmixError: A field or value is not allowed.
    """
    odd = sorted(raw.keys() - FIELDS)
    if odd:
        raise RbmixError(f"{source}: unknown field {odd[0]!r} (allowed: {', '.join(FIELDS)})")
    for key in ("summary", "algorithm", "norm"):
        if not isinstance(raw.get(key), str):
            raise RbmixError(f"{source}: field {key!r} must be a text")
        check_name(f"{source}: field {key!r}", raw[key])
    own_norm = norms.parse(raw["norm"])
    options = raw.get("options", {})
    if not isinstance(options, dict):
        raise RbmixError(f"{source}: field 'options' must be a table")
    grids = raw.get("eps")
    if not isinstance(grids, dict) or not isinstance(grids.get("default"), list):
        raise RbmixError(f"{source}: field 'eps' must be a table with a list 'default'")
    grid = grids.get(dataset, grids["default"])
    if not (isinstance(grid, list) and all(isinstance(text, str) for text in grid)):
        raise RbmixError(f"{source}: an epsilon grid is a list of texts, as in ['8/255']")
    own_grid = parse_grid(texts_of(grid), own_norm)
    protocol = Protocol(name, raw["summary"], raw["algorithm"], own_norm, own_grid, options)
    return changed(protocol, eps=eps, norm=norm)


def changed(
    protocol: Protocol, *, eps: list[str] | None = None, norm: Norm | None = None
) -> Protocol:
    """Return the protocol with another grid or norm; raise RbmixError as `load` does."""
    norm = protocol.norm if norm is None else norms.parse(norm)
    if eps is not None:
        known = protocol.eps if norm == protocol.norm else ()
        return replace(protocol, norm=norm, eps=spelled_as(parse_grid(eps, norm), known))
    if norm != protocol.norm:
        words = f"the grid of {protocol.name!r} is for {protocol.norm}"
        raise RbmixError(f"--norm {norm}: {words}; give one with --eps")
    return protocol


# The changes of AutoAttack's `rand` version (Croce & Hein, arXiv 2003.01690), and the same for PGD:
# gradients are means over several passes.
EOT = 20
RANDOMISED: dict[str, dict[str, Any]] = {
    "autoattack": {"components": ["apgd-ce", "apgd-dlr"], "eot": EOT},
    "fgsm": {"eot": EOT},
    "pgd": {"eot": EOT},
}


def randomised(protocol: Protocol) -> Protocol:
    """Return the protocol for networks that draw random numbers; its own options stay."""
    changes = RANDOMISED.get(protocol.algorithm, {})
    return replace(protocol, options={**changes, **protocol.options})


# The changes of AutoAttack's `standard` version in l1 (Croce & Hein, arXiv 2103.01208).
IN_NORM: dict[tuple[str, str], dict[str, Any]] = {
    ("autoattack", "l1"): {
        "settings": {"apgd-ce": {"restarts": 5}, "apgd-t": {"targets": 5}},
    },
}


def in_norm(protocol: Protocol) -> Protocol:
    """Return the protocol as its algorithm is meant in its norm; its own options stay."""
    changes = IN_NORM.get((protocol.algorithm, protocol.norm), {})
    return replace(protocol, options={**changes, **protocol.options})
