"""Add checkpoints to the folder of a zoo, and derive its table from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from robustbench_mix.config import zoo
from robustbench_mix.config.training import adversarial_words
from robustbench_mix.config.zoo import Entry
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import safe_name, write_bytes, write_if_changed

MAX_NETWORK_BYTES = 2**28  # a zoo is committed


def add(files: list[Path], folder: Path, name: str | None = None) -> list[Path]:
    """Copy checkpoints into a zoo under their names, and write its table.

    Args:
        files: Checkpoints of rbmix.
        folder: The folder of the zoo.
        name: The name of a single checkpoint; by default it is made of its settings.

    Returns:
        The files that were written.

    Raises:
        RbmixError: A file is no whole checkpoint of rbmix, or another network has its name.
    """
    if name is not None and len(files) != 1:
        raise RbmixError(f"--name {name} goes with one checkpoint, not with {len(files)}")
    wanted: dict[Path, bytes] = {}
    for file in files:
        raw = reading.read_bytes(file, "checkpoint", MAX_NETWORK_BYTES)
        header = checkpoint.check_whole(file)
        path = folder / (_entry(header, raw, name or default_name(header)).name + zoo.SUFFIX)
        there = wanted.get(path) or (path.read_bytes() if path.exists() else raw)
        if there != raw:
            raise RbmixError(f"{path} is another network than {file}; --name gives it another name")
        wanted[path] = raw
    new = [path for path in wanted if not path.exists()]
    for path in new:
        write_bytes(path, wanted[path])
    return [*new, *write_if_changed(content(folder))]


def default_name(header: CheckpointHeader) -> str:
    """Return the name of a network of these settings, as in `resnet14-frozen-learned-s0-digits`."""
    spec = header.spec
    if spec is None:
        raise RbmixError("a checkpoint of rbmix has the settings of its network")
    words = [spec.model, spec.spatial.replace(":", ""), spec.channel, f"s{spec.seed}"]
    words += [
        str(header.dataset),
        *(["adversarial"] if header.recipe and adversarial_words(header.recipe) else []),
    ]
    return safe_name("-".join(words))


def content(folder: Path) -> dict[Path, str]:
    """Return the table of all networks in a folder, as CSV, by its path.

    Raises:
        RbmixError: A file is no checkpoint of rbmix.
    """
    rows = []
    for path in sorted(folder.glob(f"*{zoo.SUFFIX}")):
        raw = reading.read_bytes(path, "checkpoint", MAX_NETWORK_BYTES)
        rows.append(_entry(checkpoint.check_whole(path), raw, path.stem))
    return {folder / zoo.TABLE: zoo.table_text(rows)}


def _entry(header: CheckpointHeader, raw: bytes, name: str) -> Entry:
    spec, recipe = header.spec, header.recipe
    examples, accuracy = header.train_examples, header.test_accuracy
    if spec is None or recipe is None or not header.dataset or not examples or accuracy is None:
        raise RbmixError(f"checkpoint {name} does not say how it was trained")
    return Entry(
        name=name,
        model=spec.model,
        spatial=spec.spatial,
        channel=spec.channel,
        seed=spec.seed,
        dataset=header.dataset,
        train_examples=examples,
        epochs=recipe.epochs,
        adversarial=adversarial_words(recipe),
        test_accuracy=accuracy,
        weights_hash=header.weights_hash,
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
    )
