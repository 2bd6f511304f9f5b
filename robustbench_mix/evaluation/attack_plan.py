"""The plan of an attack: its protocol, and the way to run it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.limits import MAX_BATCH_SIZE, check_count
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.words import Norm


@dataclass(frozen=True)
class AttackPlan:
    """A protocol, and the way to run it.

    Attributes:
        word: The name or path that the user wrote.
        protocol: The protocol, with its grid chosen.
        backend: `fast` or `reference`.
        exhaustive: Whether the fast backend skips nothing.
        randomised: Whether the network draws random numbers: attacks then use means over several
            passes, and a majority vote decides.
        batch_size: Number of images to attack at once; None depends on the device.
    """

    word: str
    protocol: Protocol
    backend: str
    exhaustive: bool = False
    randomised: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "batch_size", check_count("batch size", self.batch_size, MAX_BATCH_SIZE)
        )

    @property
    def recorded_backend(self) -> str:
        """The name of the backend in records."""
        if self.exhaustive:
            return f"{self.backend}, exhaustive"
        return f"{self.backend}, randomised" if self.randomised else self.backend

    def on_grid(self, eps: list[str]) -> AttackPlan:
        """Return the same attack over other epsilons of its norm."""
        return replace(self, protocol=protocols.changed(self.protocol, eps=eps))


def attack_plan(
    attack: str | Protocol,
    dataset: str = "",
    *,
    eps: list[str] | None = None,
    norm: Norm | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
) -> AttackPlan:
    """Return the attack that the words of `rbmix evaluate` name.

    Args:
        attack: A protocol, or its name or path.
        dataset: The name of the data set, which may have its own grid in the protocol.
        eps: The grid, by default the protocol's.
        norm: The norm, by default the protocol's.
        backend: `fast` or `reference`; by default `fast` if the algorithm has it.
        exhaustive: Whether the fast backend skips nothing.
        randomised: Whether the network draws random numbers.
        batch_size: Number of images to attack at once; None depends on the device.

    Raises:
        RbmixError: A word is wrong, or arguments contradict each other.
    """
    if isinstance(attack, str):
        word, protocol = attack, protocols.load(attack, dataset, eps=eps, norm=norm)
    else:
        word, protocol = attack.name, protocols.changed(attack, eps=eps, norm=norm)
    backend = catalog.backend_of(
        protocol.algorithm, backend, norm=protocol.norm, exhaustive=exhaustive,
        randomised=randomised,
    )  # fmt: skip
    protocol = protocols.in_norm(protocol)
    if randomised:
        protocol = protocols.randomised(protocol)
    return AttackPlan(word, protocol, backend, exhaustive, randomised, batch_size)
