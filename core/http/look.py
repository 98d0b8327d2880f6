"""How pages look: blocks become HTML here and nowhere else, escaped, with one inline style and nothing that runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from litestar import Response
from litestar.enums import MediaType

TEMPLATES: Final = Path(__file__).with_name("templates")


PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""For HTML that brings no policy of its own: text and style, nothing that runs."""
FORM_POLICY: Final = PAGE_POLICY.replace("form-action 'none'", "form-action 'self'")
"""For a page whose form is sent to us."""


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["subject"] = ""
    made.filters["urlencode_path"] = lambda path: quote(path, safe="/?&=%~+,:@")
    return made


def html(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response[Any]:
    """One of ``templates/``, filled in."""
    text = _environment().get_template(template).render(values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)
