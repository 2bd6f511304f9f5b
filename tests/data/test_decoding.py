"""One image: depth is scaled, and what 8-bit RGB does not show is counted."""

from __future__ import annotations

import struct
import zlib
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


def png(path: Path, kind: int, depth: int, row: bytes) -> Path:
    """Write a PNG of one row, which Pillow cannot write for 16 bits of colour; (path)."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    pixels = 8 * len(row) // (depth * {0: 1, 2: 3, 4: 2, 6: 4}[kind])
    size = struct.pack(">IIBBBBB", pixels, 1, depth, kind, 0, 0, 0)
    data = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


@pytest.mark.parametrize(
    ("kind", "values", "expected", "transparent"),
    [
        (2, [0, 257 * 3, 65535], [0, 3, 255], False),
        (6, [257 * 200, 257 * 3, 0, 65535], [200, 3, 0], False),
        (6, [257 * 200, 257 * 3, 0, 0], [200, 3, 0], True),
        (4, [257 * 77, 65535], [77, 77, 77], False),
    ],
)
def test_png_with_16_bits_of_colour(
    tmp_path: Path, kind: int, values: list[int], expected: list[int], transparent: bool
) -> None:
    """With alpha and without."""
    path = png(tmp_path / "a.png", kind, 16, np.array(values, ">u2").tobytes())
    notes = Notes()
    assert read_image(path, notes)[0, 0].tolist() == expected
    assert list(notes.lines()) == [
        "1 of 16 bits scaled to 8",
        *(["alpha of 1 not used"] if transparent else []),
    ]


@pytest.mark.parametrize(("depth", "levels"), [(1, [255, 0]), (2, [255, 85]), (4, [255, 17])])
def test_png_with_few_bits_of_grey(tmp_path: Path, depth: int, levels: list[int]) -> None:
    """One, two and four bits are scaled up."""
    first = (2**depth - 1) << (8 - depth) | (0 if depth == 1 else 1 << (8 - 2 * depth))
    path = png(tmp_path / "a.png", 0, depth, bytes([first]))
    assert read_image(path, Notes())[0, :2, 0].tolist() == levels


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
