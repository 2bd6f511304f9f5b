"""The settings of AutoAttack under the names of the original class, and its versions.

Each of the four objects of the original, `apgd`, `apgd_targeted`, `fab` and `square`, has here the
attributes that can be changed. What cannot be changed is refused in one line instead of being
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robustbench_mix.attacks.autoattack import EOT, STANDARD, Options
from robustbench_mix.config.limits import check_count
from robustbench_mix.config.words import Component, Version
from robustbench_mix.errors import RbmixError, unknown

VERSIONS: dict[Version, list[Component]] = {
    "standard": ["apgd-ce", "apgd-t", "fab-t", "square"],
    "plus": ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"],
    "rand": ["apgd-ce", "apgd-dlr"],
    "custom": [],
}
RAND_PASSES = 20  # over which a gradient is averaged in version `rand`
RESTARTS = 5  # of APGD and FAB unless a version says otherwise
CHEAP_QUERIES = 1000
MAX_SETTING = 10**6
# What the original lets one set and its README does not mention; the values are the original's.
FIXED: dict[str, dict[str, object]] = {
    "apgd": {"rho": 0.75, "verbose": False},
    "apgd_targeted": {"rho": 0.75, "verbose": False},
    "fab": {"alpha_max": 0.1, "eta": 1.05, "beta": 0.9, "verbose": False},
    "square": {"p_init": 0.8, "resc_schedule": False, "verbose": False},
}
# The attribute that each option of a stage comes from.
SOURCE: dict[str, tuple[str, dict[str, str]]] = {
    "apgd-ce": ("apgd", {"steps": "n_iter", "restarts": "n_restarts", EOT: "eot_iter"}),
    "apgd-dlr": ("apgd", {"steps": "n_iter", "restarts": "n_restarts", EOT: "eot_iter"}),
    "apgd-t": (
        "apgd_targeted",
        {
            "steps": "n_iter", "restarts": "n_restarts", "targets": "n_target_classes",
            EOT: "eot_iter",
        },
    ),
    "fab": ("fab", {"steps": "n_iter", "restarts": "n_restarts"}),
    # As in the original, which attacks each target class once whatever `fab.n_restarts` is.
    "fab-t": ("fab", {"steps": "n_iter", "targets": "n_target_classes"}),
    "square": ("square", {"queries": "n_queries", "restarts": "n_restarts"}),
}  # fmt: skip


class AttackSettings:
    """The settings of one attack, as attributes; all are whole numbers from 1.

    Those of an attack are some of those that are declared here.

    Args:
        name: The name of the attack on the class, for messages.
        values: The attributes that can be set, with their values.
    """

    n_iter: int
    n_restarts: int
    n_target_classes: int
    n_queries: int
    eot_iter: int
    _name: str
    _free: tuple[str, ...]

    def __init__(self, name: str, **values: int) -> None:
        self.__dict__.update(values, _name=name, _free=tuple(values))

    def __getattr__(self, attribute: str) -> object:
        fixed = FIXED.get(self.__dict__.get("_name", ""), {})
        if attribute in fixed:
            return fixed[attribute]
        raise AttributeError(f"no attribute {attribute!r}")

    def __setattr__(self, attribute: str, value: object) -> None:
        name, fixed = f"{self._name}.{attribute}", FIXED[self._name]
        if attribute in fixed:
            if value != fixed[attribute]:
                raise RbmixError(f"{name} = {value!r} cannot be had, it is {fixed[attribute]!r}")
        elif attribute not in self._free:
            raise unknown(f"setting of {self._name}", attribute, self._free)
        else:
            self.__dict__[attribute] = check_count(name, value, MAX_SETTING)  # type: ignore[arg-type]


class Attacks:
    """The four objects with settings, in the values that a version and a norm give them."""

    def __init__(self, version: str, norm: str) -> None:
        is_l1, is_custom = norm == "l1", version in ("custom", "plus")
        self.apgd = AttackSettings(
            "apgd",
            n_iter=100,
            n_restarts=RESTARTS if is_custom or (is_l1 and version == "standard") else 1,
            eot_iter=RAND_PASSES if version == "rand" else 1,
        )
        self.apgd_targeted = AttackSettings(
            "apgd_targeted",
            n_iter=100,
            n_restarts=1,
            n_target_classes=5 if is_l1 and version == "standard" else 9,
            eot_iter=1,
        )
        self.fab = AttackSettings(
            "fab", n_iter=100, n_restarts=RESTARTS if is_custom else 1, n_target_classes=9
        )
        self.square = AttackSettings("square", n_queries=5000, n_restarts=1)

    def cheapen(self) -> None:
        """Use no restarts, and fewer queries."""
        for attack in (self.apgd, self.apgd_targeted, self.fab, self.square):
            attack.n_restarts = 1
        self.square.n_queries = CHEAP_QUERIES

    def is_averaged(self, components: Sequence[str]) -> bool:
        """Return whether gradients of one of these attacks are averaged: the network draws."""
        return any(self._options(name).get(EOT, 1) > 1 for name in components)

    def options(self, components: Sequence[str]) -> dict[str, Any]:
        """Return the options of a protocol: those that differ from AutoAttack's standard ones."""
        usual = Options()._asdict()
        settings = {}
        for name in components:
            options = self._options(name)
            if changed := {key: value for key, value in options.items() if value != usual[key]}:
                settings[name] = changed
        found: dict[str, Any] = {}
        if list(components) != list(STANDARD):
            found["components"] = list(components)
        return {**found, "settings": settings} if settings else found

    def _options(self, component: str) -> dict[str, int]:
        if component not in SOURCE:
            raise unknown("AutoAttack component", str(component), SOURCE)
        owner, names = SOURCE[component]
        attack = getattr(self, owner)
        return {option: getattr(attack, name) for option, name in names.items()}
