"""The typed headers of records: what was run or measured, on which data, with which versions.

They are JSON in the metadata of a Parquet file. Reading checks every field, so that users of a
header need no further checks. A field that older records lack is None.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any, Literal

from msgspec import Meta

from robustbench_mix.config.catalog import BACKENDS
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.limits import MAX_EPS, MAX_SEED
from robustbench_mix.config.model import CHANNEL, parse_spatial
from robustbench_mix.config.norms import NORMS
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.storage.parquet_table import TableHeader
from robustbench_mix.storage.validation import (
    Count,
    Header,
    Name,
    NonNegative,
    Positive,
    Share,
    Text,
)

PIXELS = 2**24  # maximum number of pixels of one picture
BANDS = 8  # number of bands of a spectrum
EXTERNAL = "external"  # mixers of a model that rbmix did not build
RECORDED_BACKENDS = (*BACKENDS, "fast, exhaustive", "reference, randomised")

Seed = Annotated[int, Meta(ge=0, le=MAX_SEED)]
Grid = Annotated[list[Name], Meta(min_length=1, max_length=MAX_EPS)]
Shape = Annotated[
    list[Annotated[int, Meta(ge=1, le=PIXELS)]], Meta(min_length=3, max_length=3)
]  # channels, height, width
Versions = dict[Name, Text]


class NetworkHeader(TableHeader, frozen=True, kw_only=True):
    """The model, its training, and the images and device it was measured on.

    `train_examples` and `epochs` are None if rbmix did not train it. `adversarial` is the radius
    of the adversarial examples it was trained on, followed by what differs from PGD with the last
    weights, as in `8/255, n-fgsm, averaged 0.9995` ('' for none). `weights` names the file or tag
    of weights that were not trained here. `data_hash` is the hash of the `n` images.
    """

    model: Name
    spatial: Name
    channel: Name
    seed: Seed
    dataset: Name
    data_hash: Name
    train_examples: Positive | None
    epochs: Positive | None
    device: Text
    adversarial: Text | None = None
    weights: Text | None = None
    versions: Versions | None = None
    commit: Text | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError for mixers that do not exist."""
        if self.spatial != EXTERNAL:
            parse_spatial(self.spatial)
        if self.channel not in (*CHANNEL, EXTERNAL):
            raise unknown("channel", self.channel, (*CHANNEL, EXTERNAL))

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name, as when headers were dictionaries (deprecated).

        Raises:
            KeyError: There is no such field.
        """
        words = f"header[{name!r}] is deprecated: use header.{name}"
        warnings.warn(words, DeprecationWarning, stacklevel=2)
        if name not in self.__struct_fields__:
            raise KeyError(name)
        return getattr(self, name)


class ProtocolSpec(Header, frozen=True, kw_only=True):
    """The content of a protocol when it ran."""

    algorithm: Name
    name: Text | None = None
    norm: Text | None = None
    eps: list[Text] | None = None
    options: dict[Name, Any] | None = None


class Passes(Header, frozen=True, kw_only=True):
    """Forward and gradient passes of one stage of an attack, over all images."""

    forward: Count
    gradient: Count


class Conclusions(Header, frozen=True, kw_only=True):
    """The conclusions from larger to smaller epsilons that were tested by an attack."""

    confirmed: Count
    refuted: Count


class AuditStratum(Header, frozen=True, kw_only=True):
    """The audit of one stratum: images that stood before it, met the whole ensemble, and fell."""

    standing: Count
    sampled: Count
    broken: Count

    def __post_init__(self) -> None:
        """Raise RbmixError for counts that contradict each other."""
        if not self.broken <= self.sampled <= self.standing:
            raise RbmixError("a stratum with more images broken than sampled, or than stood")


class Audit(Header, frozen=True, kw_only=True):
    """The audit at one epsilon: how many images of the sample met the whole ensemble, and fell.

    With 95 % confidence, at most the share `bound` of all images stand only because the other
    images did not meet it. `strata` has the counts by the margin that the images had before,
    nearest to the boundary first; None if the sample was drawn without strata.
    """

    sampled: Count
    broken: Count
    bound: Share
    strata: list[AuditStratum] | None = None


class Diagnostics(Header, frozen=True, kw_only=True):
    """Measurements on a few images of what can make a robustness number wrong.

    `evaluation.diagnostics` measures them, `results.flags` judges them. The fields from `attacked`
    on count images under other attacks within the epsilon at grid index `eps`; they are None if
    those attacks were not run.
    """

    images: Positive
    classes: Positive
    unrepeatable: float
    batch: float
    changed: float
    training: float
    probabilities: float
    not_finite: float
    accuracy: Share
    rescaled: Share
    zero_gradient: float
    slope: float | None
    trained_accuracy: Share | None
    eps: Count | None = None
    attacked: Count | None = None
    fgsm: Count | None = None
    pgd: Count | None = None
    fgsm_only: Count | None = None
    blind: Count | None = None
    half: Count | None = None
    stood: Count | None = None
    gained: Count | None = None
    own_gained: Count | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError for more images in a count than were attacked."""
        counts = (self.fgsm_only, self.blind, self.half, self.gained)
        if any((count or 0) > (self.attacked or 0) for count in counts):
            raise RbmixError("more images in a diagnostic than were attacked")


class RunIdentity(NetworkHeader, frozen=True, kw_only=True):
    """All that decides the outcome of a run, and the conditions it was made under.

    `randomised` is the number of passes behind each decision, for a model that draws random
    numbers. `precision` is that of float32 networks; None on a CPU (IEEE) and in older records.
    """

    versions: Versions
    commit: Text
    protocol: Name
    norm: Name
    eps: Grid
    protocol_spec: ProtocolSpec
    protocol_hash: Name
    checkpoint_hash: Name
    batch_size: Positive
    backend: Text | None = None
    randomised: Positive | None = None
    precision: Text | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError for a norm, grid or backend that does not exist."""
        NetworkHeader.__post_init__(self)
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)
        check_grid(self.eps, self.norm)
        if self.backend is not None and self.backend not in RECORDED_BACKENDS:
            raise unknown("backend", self.backend, RECORDED_BACKENDS)


class RunHeader(RunIdentity, frozen=True, kw_only=True):
    """The header of a run: its identity, and the findings about the run as a whole.

    `passes` has an entry for each stage of the attack, `audit` one for each epsilon.
    `smallest_batch` is the number of images at once that fitted into memory, if it was less than
    `batch_size`. `weights_precision` is that of a network that is not in float32,
    `search_precision` that of a coarser copy that was searched.
    """

    passes: dict[Name, Passes]
    checked: Conclusions | None = None
    audit: list[Audit] | None = None
    diagnostics: Diagnostics | None = None
    smallest_batch: Positive | None = None
    weights_precision: Text | None = None
    search_precision: Text | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError as `RunIdentity`, and for an audit that contradicts itself."""
        RunIdentity.__post_init__(self)
        if len(self.audit or []) not in (0, len(self.eps)):
            raise RbmixError("an audit of another grid")
        if any(one.broken > one.sampled for one in self.audit or []):
            raise RbmixError("more images broken than sampled")


class ProbeIdentity(NetworkHeader, frozen=True, kw_only=True):
    """All that decides the outcome of a probe or a transfer, and its provenance."""

    kind: Literal["probe", "transfer"]
    eps: Grid

    def __post_init__(self) -> None:
        """Raise RbmixError for an invalid grid."""
        NetworkHeader.__post_init__(self)
        check_grid(self.eps, "linf")


class ProbeHeader(ProbeIdentity, frozen=True, kw_only=True):
    """The header of a probe: spectra and a Fourier heat map of one model.

    `filters`, `composed` and `perturbation` are shares of power per band of frequency, empty if
    there is nothing to measure. `heat_map` is the accuracy on `heat_map_n` images under a wave of
    l2 norm `wave_norm`.
    """

    kind: Literal["probe"]
    filters: list[Share]
    composed: list[Share]
    perturbation: list[Share]
    heat_map: Annotated[list[Annotated[list[Share], Meta(min_length=1)]], Meta(min_length=1)]
    heat_map_n: Positive
    wave_norm: NonNegative

    def __post_init__(self) -> None:
        """Raise RbmixError as `ProbeIdentity`, and for an invalid spectrum or heat map."""
        ProbeIdentity.__post_init__(self)
        if any(len(one) not in (0, BANDS) for one in (self.filters, self.composed,
                                                      self.perturbation)):  # fmt: skip
            raise RbmixError(f"a spectrum has {BANDS} bands or none")
        if len({len(row) for row in self.heat_map}) > 1:
            raise RbmixError("heat map with rows of several lengths")


class TransferHeader(ProbeIdentity, frozen=True, kw_only=True):
    """The header of a transfer: a model beside its learned twin, on images of `shape`."""

    kind: Literal["transfer"]
    classes: Annotated[list[Name], Meta(min_length=1)]
    shape: Shape

    def __post_init__(self) -> None:
        """Raise RbmixError as `ProbeIdentity`, and for pictures that are too large."""
        ProbeIdentity.__post_init__(self)
        check_shape(self.shape)


class UnshufflingHeader(NetworkHeader, frozen=True, kw_only=True):
    """The header of an un-shuffling: the decoder's shape, its training, and the images.

    `levels` is the number of grey levels above 0. `reach` is the largest distance in pixels from
    which an output depends on an input.
    """

    train_examples: Positive
    epochs: Positive
    image: Shape
    width: Positive
    depth: Positive
    kernel: Positive
    patch: Positive
    reach: Count
    levels: Positive | None = None
    recipe: dict[Name, object] | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError for images that are too large."""
        NetworkHeader.__post_init__(self)
        check_shape(self.image)


def check_grid(eps: list[str], norm: str) -> None:
    """Raise RbmixError unless these texts are an epsilon grid of the norm, ascending."""
    if [one.text for one in parse_grid(eps, norm)] != eps:
        raise RbmixError(f"eps = {eps} does not ascend, or is not spelled as rbmix does")


def check_shape(shape: list[int]) -> None:
    """Raise RbmixError for pictures of more than `PIXELS` pixels in three channels."""
    if math.prod(shape) > 3 * PIXELS:
        raise RbmixError(f"pictures of {shape} are larger than {3 * PIXELS:,} values")
