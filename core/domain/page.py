"""A page of the dashboard as a document: blocks that know nothing of HTML, so that nothing in them can run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class PageText(Struct, frozen=True, tag="text"):
    """One paragraph."""

    text: str


class PageFigures(Struct, frozen=True, tag="figures"):
    """Numbers to see at a glance: label → value."""

    figures: Mapping[str, str]


class PageTable(Struct, frozen=True, tag="table"):
    """Rows under headers; each row has one cell per header. ``nothing`` is said when there are no rows."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    nothing: str = "Nothing yet."


class PageLink(Struct, frozen=True, tag="link"):
    """A way to another page of the same plugin; ``path`` as the page declares it, such as ``/members``."""

    text: str
    path: str


Block = PageText | PageFigures | PageTable | PageLink


class Page(Struct, frozen=True):
    """What a plugin shows to staff. The core renders it, in the look of the dashboard."""

    title: str
    blocks: tuple[Block, ...] = ()
