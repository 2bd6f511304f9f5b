"""The guide to the flags: docs/flags.md, which an installed package brings along."""

from __future__ import annotations

import re
from pathlib import Path

from robustbench_mix.errors import unknown


def path() -> Path:
    """Return the path of the guide: in the installed package, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "guide" / "flags.md"
    return installed if installed.is_file() else package.parent / "docs" / "flags.md"


def sections() -> dict[str, str]:
    """Return what the guide says of each flag, in its order, without Markdown's links."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", path().read_text(encoding="utf-8"))
    found = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    titles, bodies = found[::2], found[1::2]
    return {
        title.strip("`"): body.strip()
        for title, body in zip(titles, bodies, strict=True)
        if title.startswith("`")
    }


def section(name: str) -> str:
    """Return what the guide says of a flag; raise RbmixError for a name that is none."""
    known = sections()
    if name not in known:
        raise unknown("flag", name, known)
    return known[name]


def first_sentence(text: str) -> str:
    """Return the first sentence of a section, on one line."""
    return re.split(r"(?<=[a-z0-9)])\. ", " ".join(text.split()), maxsplit=1)[0].rstrip(".") + "."
