"""Data sets from class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError


def test_class_folder(write_folder, home: Path) -> None:
    """Classes in alphabetical order, one tensor a split, decoded once."""
    folder = write_folder("tiny")
    loaded = loaders.load(str(folder))
    assert loaded.name == "tiny"
    assert loaded.classes == ("cat", "dog", "owl", "yak")
    assert loaded.train.images.shape == (24, 3, 8, 8)
    assert loaded.test.labels.tolist() == [label for label in range(4) for _ in range(4)]
    cache = list((home / "data").iterdir())
    assert len(cache) == 1
    stamp = cache[0].stat().st_mtime_ns
    assert loaders.load(str(folder)).test.hash == loaded.test.hash
    assert cache[0].stat().st_mtime_ns == stamp


def test_changed_folder_is_decoded_again(write_folder, home: Path) -> None:
    """A cache never outlives its source."""
    folder = write_folder("tiny")
    before = loaders.load(str(folder)).test.hash
    (folder / "test" / "cat" / "0.png").unlink()
    after = loaders.load(str(folder))
    assert len(after.test) == 15
    assert after.test.hash != before


def test_folder_named_like_a_known_data_set(write_folder, home: Path) -> None:
    """A folder called cifar10 never passes for CIFAR-10."""
    assert loaders.load(str(write_folder("cifar10"))).name == "cifar10-folder"


def test_damaged_cache_is_named(write_folder, home: Path) -> None:
    """Half a cache file is an error with its path, not a traceback."""
    folder = write_folder("tiny")
    loaders.load(str(folder))
    (cache,) = (home / "data").iterdir()
    cache.write_bytes(cache.read_bytes()[:100])
    with pytest.raises(RbmixError, match="is damaged"):
        loaders.load(str(folder))


def test_folder_with_one_class(write_folder, home: Path) -> None:
    """Nothing can be told apart with one class."""
    with pytest.raises(RbmixError, match="one class, 'cat'"):
        loaders.load(str(write_folder("one", classes=("cat",))))


def test_folder_with_a_broken_image(write_folder, home: Path) -> None:
    """The broken file is named, and no cache is left behind."""
    folder = write_folder("tiny")
    broken = folder / "train" / "dog" / "2.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(RbmixError, match=r"cannot decode .*dog.2\.png"):
        loaders.load(str(folder))
    assert not list(home.rglob("*.safetensors"))


def test_folder_with_several_sizes(write_folder, home: Path) -> None:
    """Images of several sizes are refused with both sizes."""
    folder = write_folder("tiny")
    Image.new("RGB", (9, 8)).save(folder / "train" / "dog" / "2.png")
    with pytest.raises(RbmixError, match="9x8 pixels, but others are 8x8"):
        loaders.load(str(folder))


def test_folder_problems_are_named(write_folder, tmp_path: Path, home: Path) -> None:
    """A missing split, class or folder, and an unknown name."""
    folder = write_folder("tiny")
    with pytest.raises(RbmixError, match="has no train/ folder"):
        loaders.load(str(folder / "test"))
    (folder / "test" / "yak").rename(folder / "test" / "zebu")
    with pytest.raises(RbmixError, match=r"different classes \(yak, zebu\)"):
        loaders.load(str(folder))
    with pytest.raises(RbmixError, match="does not exist"):
        loaders.load(str(tmp_path / "nowhere"))
    with pytest.raises(RbmixError, match="did you mean 'digits'"):
        loaders.load("digit")


def test_what_was_taken_is_said_once(write_folder, home: Path, capsys) -> None:
    """One line with the order of the classes, what was left out and what was changed."""
    folder = write_folder("tiny")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    (folder / "test" / "cat" / "9.tif").write_bytes(b"II")
    grey = np.full((8, 8), 40000, np.uint16)
    Image.fromarray(grey).save(folder / "test" / "cat" / "0.png")
    for _ in range(2):  # decoded, then from the cache
        loaded = loaders.load(str(folder))
    assert capsys.readouterr().err == (
        f"{folder}: 24 images in train/ and 16 images in test/, 4 classes: cat, dog, owl, yak; "
        "left out 1 hidden (.ipynb_checkpoints), 1 .tif; "
        "1 of 16 bits scaled to 8 (brightest 40,000 of 65,535)\n"
    )
    assert int(loaded.test.images[0].max()) == round(40000 / 257)


def test_names_that_are_numbers(write_folder, home: Path, capsys) -> None:
    """Their order is that of text, which is said where it is not that of the numbers."""
    assert loaders.load(str(write_folder("twelve", ("0", "1", "2")))).classes == ("0", "1", "2")
    assert "--class-index" not in capsys.readouterr().err
    for name, classes in (("order", ("9", "10", "11")), ("gaps", ("0", "2", "5"))):
        loaded = loaders.load(str(write_folder(name, classes)))
        assert loaded.classes == tuple(sorted(classes))
        assert "(in the order of text, which is not the numbers; see --class-index)" in (
            capsys.readouterr().err
        )


def test_many_classes_are_not_all_shown(write_folder, home: Path, capsys) -> None:
    """The first ones and the last."""
    classes = tuple(f"class{i:02}" for i in range(30))
    loaders.load(str(write_folder("many", classes, train=1, test=1)))
    assert "30 classes: class00, class01" in (said := capsys.readouterr().err)
    assert "class19, ... up to class29" in said
    assert "class20" not in said
