"""Mark emphasis in the words of this package, which are Markdown, for HTML."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

MARKS = ((r"\*\*(.+?)\*\*", "strong"), (r"\*(.+?)\*", "em"), (r"`(.+?)`", "code"))


def emphasise(text: str) -> Markup:
    """Return Markdown with strong words, emphasis and code as HTML; everything else is escaped.

    It is for words of this package, not for names from records, which may have asterisks.
    """
    found = str(escape(text))
    for pattern, tag in MARKS:
        found = re.sub(pattern, rf"<{tag}>\1</{tag}>", found)
    return Markup(found)
