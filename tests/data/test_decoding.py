"""One image: depth is scaled, and what 8-bit RGB does not show is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustbench_mix.data.decoding import Notes, read_image
from robustbench_mix.errors import RbmixError


def decoded(image: Image.Image, path: Path, **save) -> tuple[np.ndarray, list[str]]:
    """The pixels of an image that was written to a file, and the notes."""
    image.save(path, **save)
    notes = Notes()
    return read_image(path, notes), list(notes.lines())


@pytest.mark.parametrize("suffix", [".png", ".pgm"])
def test_16_bits_of_grey_are_scaled(tmp_path: Path, suffix: str) -> None:
    """Not clipped: 257 steps are one grey level, and half of them round up."""
    values = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], np.uint16)
    pixels, notes = decoded(Image.fromarray(values), tmp_path / f"a{suffix}")
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert notes == ["1 of 16 bits scaled to 8 (brightest 65,535 of 65,535)"]


def test_16_bits_of_colour_are_scaled(tmp_path: Path) -> None:
    """A binary PPM with two bytes a value."""
    path, notes = tmp_path / "a.ppm", Notes()
    values = np.array([0, 257 * 3, 257 * 200], ">u2")
    path.write_bytes(b"P6 1 1 65535\n" + values.tobytes())
    assert read_image(path, notes)[0, 0].tolist() == [0, 3, 200]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_other_kinds_of_pixels(tmp_path: Path, mode: str) -> None:
    """Black and white stay black and white, without a note."""
    black_white = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("RGB").convert(mode)
    suffix = ".jpg" if mode == "CMYK" else ".png"
    save = {"quality": 100} if mode == "CMYK" else {}
    pixels, notes = decoded(black_white.resize((16, 16), 0), tmp_path / f"a{suffix}", **save)
    assert pixels[0, 0].max() < 8
    assert pixels[0, -1].min() > 247
    assert notes == []


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Transparency, orientation, further frames; opaque alpha is nothing to tell."""
    red = Image.new("RGBA", (4, 4), (200, 0, 0, 255))
    assert decoded(red, tmp_path / "a.png")[1] == []
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    pixels, notes = decoded(clear, tmp_path / "b.png")
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert notes == ["alpha of 1 not used"]
    palette = red.convert("RGB").quantize(4)
    assert decoded(palette, tmp_path / "c.png", transparency=0)[1] == ["alpha of 1 not used"]
    exif = Image.Exif()
    exif[0x0112] = 6
    _, notes = decoded(red.convert("RGB"), tmp_path / "d.jpg", exif=exif)
    assert notes == ["EXIF orientation of 1 not applied"]
    _, notes = decoded(red, tmp_path / "e.png", save_all=True, append_images=[clear])
    assert notes == ["first frame of 1 taken"]


@pytest.mark.parametrize("content", [b"", b"<html>403</html>", b"GIF89a"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    """An empty file, a web page, another format under a known suffix."""
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(RbmixError, match=r"cannot decode .*a\.png \(it is none of BMP, JPEG"):
        read_image(path, Notes())


def test_floating_point_is_refused(tmp_path: Path) -> None:
    """Its scale is unknown."""
    path = tmp_path / "a.ppm"
    path.write_bytes(b"Pf\n1 1\n-1.0\n" + np.float32(0.5).tobytes())
    with pytest.raises(RbmixError, match="floating point"):
        read_image(path, Notes())
