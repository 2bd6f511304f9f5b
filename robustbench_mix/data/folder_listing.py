"""List the images of a class folder, and what in it is none of them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from robustbench_mix.config.limits import check_name
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.paths import is_folder

SUFFIXES = (
    ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".webp",
)  # fmt: skip
# Names of the test split where there is no `test`, as ImageNet has it.
OTHER_TESTS = ("val", "valid", "validation")
# Folders that systems and tools make beside the user's own.
SYSTEM_FOLDERS = {
    "$RECYCLE.BIN", "@eaDir", "System Volume Information", "__MACOSX", "__pycache__", "lost+found",
}  # fmt: skip
MAX_SHOWN = 3  # largest number of names of what was left out


@dataclass
class SplitListing:
    """The images of a split by their class folders, and what was left out.

    Args:
        folder: The folder of the split.
        images: The images, sorted.
        classes: The class of each image: the name of its folder in Unicode's composed form.
        empty: The class folders without images.
        hidden: The names of hidden files and of folders that systems made.
        other: Number of other files by suffix.
        loose: Number of images that lie in no class folder.
    """

    folder: Path
    images: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    hidden: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    loose: int = 0


def list_splits(path: Path) -> tuple[SplitListing, SplitListing]:
    """Return the train and the test split of a class folder.

    Raises:
        RbmixError: A split is missing or holds no images, the classes of the splits differ or are
            fewer than two, or a name cannot be printed.
    """
    train, test = (_list_split(_split_folder(path, split)) for split in ("train", "test"))
    _check_classes(path, train, test)
    return train, test


def class_names(*splits: SplitListing) -> tuple[str, ...]:
    """Return the classes in the order of their labels, which is that of their text."""
    return tuple(sorted({name for split in splits for name in split.classes}))


def left_out(*splits: SplitListing) -> Iterator[str]:
    """Yield what was left out, in words."""
    hidden = sum((split.hidden for split in splits), Counter())
    if hidden:
        yield f"{hidden.total()} hidden ({_some(hidden)})"
    other = sum((split.other for split in splits), Counter())
    yield from (f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(other.items()))
    if loose := sum(split.loose for split in splits):
        yield f"{loose} images in no class folder"
    if empty := Counter(name for split in splits for name in split.empty):
        yield f"class folders without images ({_some(empty)})"


def _some(names: Counter[str]) -> str:
    shown = sorted(names)[:MAX_SHOWN]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")


def _split_folder(path: Path, split: str) -> Path:
    names = (split,) if split == "train" else (split, *OTHER_TESTS)
    for name in names:
        if is_folder(path / name):
            return path / name
    raise RbmixError(
        f"data set folder {path} has no {split}/ folder (needs train/ and test/, or val/)"
    )


def _list_split(folder: Path) -> SplitListing:
    found = SplitListing(folder)
    for entry in _entries(folder):
        if _is_hidden(entry):
            found.hidden[entry.name] += 1
        elif not is_folder(entry):
            if _is_image(entry):
                found.loose += 1
            else:
                found.other[entry.suffix.lower()] += 1
        else:
            name = check_name("the name of class folder", unicodedata.normalize("NFC", entry.name))
            before = len(found.images)
            above = {os.path.realpath(one) for one in (entry, *entry.parents)}
            _add_files(entry, found, above)
            found.classes += [name] * (len(found.images) - before)
            if len(found.images) == before:
                found.empty.append(name)
    if not found.images:
        beside = ", ".join(left_out(found))
        raise RbmixError(
            f"{folder} holds no images (looked for <class>/*, {', '.join(SUFFIXES)})"
            + (f"; it has {beside}" if beside else "")
        )
    order = sorted(range(len(found.images)), key=lambda i: found.images[i])
    found.images, found.classes = (
        [found.images[i] for i in order],
        [found.classes[i] for i in order],
    )
    return found


def _add_files(folder: Path, found: SplitListing, above: set[str]) -> None:
    """Add the images of a class folder, and of the folders in it; a link to above is no folder."""
    for entry in _entries(folder):
        if _is_hidden(entry):
            found.hidden[entry.name] += 1
        elif is_folder(entry):
            if (real := os.path.realpath(entry)) not in above:
                _add_files(entry, found, above | {real})
        elif _is_image(entry):
            found.images.append(entry)
        else:
            found.other[entry.suffix.lower()] += 1


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise RbmixError(f"cannot read {folder}: {error.strerror or error}") from error


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS


def _is_image(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES


def _check_classes(path: Path, *splits: SplitListing) -> None:
    train, test = (set(split.classes) for split in splits)
    if train != test:
        odd = sorted(train ^ test)[:5]
        without = [
            f"{split.folder.name}/{name} holds no images"
            for split in splits
            for name in split.empty
            if name in odd
        ]
        names = f"{splits[0].folder.name}/ and {splits[1].folder.name}/"
        why = "".join(f"; {words}" for words in without)
        raise RbmixError(f"{path}: {names} hold different classes ({', '.join(odd)}){why}")
    if len(train) < 2:
        beside = "".join(f"; left out {words}" for words in left_out(*splits))
        raise RbmixError(f"{path} has one class, {min(train)!r} (needs at least two){beside}")
