"""The contract of attacks, the same for the fast engine and the reference engine.

An attack is a pure function of a counted model and a batch: it stores nothing, prints nothing,
and is not trusted. The engine projects its result onto the ball, measures it, and asks the
original model. An ensemble is a list of stages, which the engine runs in turn on the images that
still stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count
from robustbench_mix.errors import RbmixError


@dataclass(frozen=True, eq=False)
class Batch:
    """Images to attack, with the values that may differ from image to image.

    Args:
        x: Images, (B, C, H, W) float32 in [0, 1].
        y: Their labels, (B,) int64 on the device of `x`.
        eps: The radius of each image's ball, in pixel units, (B,) floats.
        seeds: A seed for each image's random numbers, (B,) int64 on the device of `x`.
        norm: The norm of the ball, `linf` or `l2`.
        index: The number of each image in its data set, for attacks that seed a library.
        seed: The seed of the run, for attacks that seed a library.
    """

    x: Tensor
    y: Tensor
    eps: Tensor
    seeds: Tensor
    norm: str
    index: Sequence[int] = ()
    seed: int = 0

    def __len__(self) -> int:
        return len(self.x)

    @property
    def radius(self) -> Tensor:
        """`eps` in float32 on the device of the images, (B,)."""
        return self.eps.float().to(self.x.device)

    def one_eps(self) -> float:
        """Return the radius that all images share, exactly.

        The reference engine attacks at one epsilon at a time; most libraries need that.
        """
        eps = float(self.eps[0])
        assert bool((self.eps == eps).all()), "this attack needs the reference engine"
        return eps

    def take(self, rows: Tensor) -> Batch:
        """Return some of the images as a batch, without `index` and `seed`.

        Args:
            rows: Which images, (B,) bool or (n,) int64 positions; a position may repeat.
        """
        return Batch(self.x[rows], self.y[rows], self.radius[rows], self.seeds[rows], self.norm)


class Attack(Protocol):
    """Perturb the images of a batch.

    An attack returns perturbed images like `batch.x`. They need not lie in the ball, nor be
    adversarial.
    """

    def __call__(self, model: CountedModel, batch: Batch) -> Tensor: ...


# Estimates the passes of an attack on an image that withstands it, None if nobody knows; from
# images like x (B, C, H, W) and the norm.
PassEstimate = Callable[[Tensor, str], Count | None]


def unknown_passes(x: Tensor, norm: str) -> Count | None:
    """Return None: the passes of this attack are not known."""
    return None


def constant_passes(count: Count) -> PassEstimate:
    """Return an estimate that is the same for all images and norms."""
    return lambda _x, _norm: count


@dataclass(frozen=True)
class Stage:
    """One attack of an ensemble, with the facts that the engines need.

    Args:
        name: Its name, as records show it; the seeds of the images depend on it.
        attack: The attack.
        passes: Estimates the passes of an image that withstands the attack.
        counts_per_image: Whether the model knows which image each pass was for. True if the
            attack passes whole batches, or packs them by `CountedModel.take`.
        nearest: Whether it looks for the nearest example whatever eps is, so that one run serves a
            whole grid of epsilons.
        norm: The only norm that it searches in, '' if it takes any.
        bound: If above 0, the attack runs on a random sample of the images that stand: as many as
            bound by this share of all images what the attack would break of the others. If it
            breaks one of the sample, it runs on more images.
    """

    name: str
    attack: Attack = field(compare=False)
    passes: PassEstimate = field(default=unknown_passes, compare=False)
    counts_per_image: bool = False
    nearest: bool = False
    norm: str = ""
    bound: float = 0.0


def check_norm(stages: list[Stage], norm: str) -> None:
    """Raise RbmixError if a stage searches only in another norm than `norm`."""
    for stage in stages:
        if stage.norm not in ("", norm):
            raise RbmixError(
                f"attack {stage.name!r} searches in {stage.norm}, the protocol in {norm}"
            )
