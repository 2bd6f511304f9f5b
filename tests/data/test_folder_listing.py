"""What of a folder is taken, and what is left out and said."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_mix.data.folder_listing import class_names, left_out, list_splits
from robustbench_mix.errors import RbmixError

CLASSES = ("cat", "dog", "owl", "yak")


def notebook(folder: Path) -> None:
    """A folder of checkpoints of notebooks beside the classes, and one in a class."""
    for place in (folder / "train", folder / "test" / "cat"):
        (place / ".ipynb_checkpoints").mkdir()
        shutil.copy(folder / "train/cat/0.png", place / ".ipynb_checkpoints" / "0.png")


def systems(folder: Path) -> None:
    """What macOS, Windows and a network drive leave."""
    (folder / "test/cat/._0.png").write_bytes(b"\0\5\x16\7")
    (folder / "train/.DS_Store").write_bytes(b"Bud1")
    (folder / "train/cat/Thumbs.db").write_bytes(b"\xd0")
    (folder / "train/__MACOSX").mkdir()
    (folder / "train/__MACOSX/1.png").write_bytes(b"x")
    (folder / "train/cat/@eaDir").mkdir()
    (folder / "train/cat/@eaDir/1.png").write_bytes(b"x")


def deeper(folder: Path) -> None:
    """Images one folder further in, as in Tiny ImageNet, in upper case."""
    for place in [*folder.glob("train/*"), *folder.glob("test/*")]:
        (place / "images").mkdir()
        for image in place.glob("*.png"):
            image.rename(place / "images" / f"{image.stem}.PNG")


def links(folder: Path) -> None:
    """A class and an image that are links, and a link that leads back up."""
    (folder / "train/cat").rename(folder / "elsewhere")
    (folder / "train/cat").symlink_to(folder / "elsewhere")
    (folder / "test/dog/0.png").rename(folder / "0.png")
    (folder / "test/dog/0.png").symlink_to(folder / "0.png")
    (folder / "train/dog/up").symlink_to(folder / "train/dog")
    (folder / "train/dog/all").symlink_to(folder / "train")


def other_kinds(folder: Path) -> None:
    """Files that are no images that are read, and images that lie in no class."""
    (folder / "train/cat/7.tif").write_bytes(b"II")
    (folder / "test/cat/8.TIF").write_bytes(b"II")
    (folder / "train/labels.txt").write_text("cat")
    (folder / "train/dog/README").write_text("dogs")
    shutil.copy(folder / "train/cat/0.png", folder / "train/0.png")


def empty(folder: Path) -> None:
    """A class that has no images in either split."""
    for split in ("train", "test"):
        (folder / split / "ant").mkdir()
        (folder / split / "ant" / "1.tif").write_bytes(b"II")


def val(folder: Path) -> None:
    """The name that ImageNet gives to what is tested."""
    (folder / "test").rename(folder / "val")


def folder_like_an_image(folder: Path) -> None:
    """A folder with the suffix of an image."""
    (folder / "train/cat/3.png").unlink()
    (folder / "train/cat/dir.png").mkdir()
    shutil.copy(folder / "train/cat/0.png", folder / "train/cat/dir.png/3.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: None, []),
        (notebook, ["2 hidden (.ipynb_checkpoints)"]),
        (systems, ["4 hidden (.DS_Store, ._0.png, @eaDir, ...)", "1 .db"]),
        (deeper, []),
        (links, []),
        (
            other_kinds,
            ["1 without suffix", "2 .tif", "1 .txt", "1 images in no class folder"],
        ),
        (empty, ["2 .tif", "class folders without images (ant)"]),
        (val, []),
        (folder_like_an_image, []),
    ],
)
def test_the_images_and_what_is_left_out(
    write_folder, change: Callable[[Path], None], said: list[str]
) -> None:
    """Whatever lies around them, the same images are taken, and the rest is said."""
    folder = write_folder("tiny")
    change(folder)
    train, test = list_splits(folder)
    assert (len(train.images), len(test.images)) == (24, 16)
    assert train.classes == [name for name in CLASSES for _ in range(6)]
    assert class_names(train, test) == CLASSES
    assert list(left_out(train, test)) == said


def test_one_name_in_two_forms(write_folder) -> None:
    """macOS takes letters apart, Linux does not: it is the same class."""
    folder = write_folder("tiny", ("café", "owl"))
    composed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for split, name in zip(("train", "test"), composed, strict=True):
        (folder / split / "café").rename(folder / split / name)
    assert class_names(*list_splits(folder)) == ("café", "owl")


def test_classes_of_one_split_alone(write_folder) -> None:
    """They are named, and why a class that is there does not count."""
    folder = write_folder("tiny")
    for image in (folder / "test/yak").iterdir():
        image.rename(image.with_suffix(".tif"))
    with pytest.raises(RbmixError, match=r"different classes \(yak\); test/yak holds no images"):
        list_splits(folder)


def test_no_images_at_all(write_folder) -> None:
    """What is there instead is said."""
    folder = write_folder("tiny")
    for image in folder.glob("train/*/*"):
        image.rename(image.with_suffix(".tif"))
    with pytest.raises(RbmixError, match=r"train holds no images .*it has 24 \.tif"):
        list_splits(folder)
