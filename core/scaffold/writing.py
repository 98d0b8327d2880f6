"""Writing new files: all of them or none, and never over anything that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


class Occupied(Exception):
    """There is something at the place already; the text says what."""


def write_folder(folder: Path, texts: Mapping[str, str]) -> None:
    """Make ``folder`` with these files: path → text. It appears at once, with everything in it, or not at all.

    Raises Occupied unless the folder is missing or empty, OSError when it cannot be made.
    """
    must_be_free(folder)
    there = folder.is_dir()  # then it stays the same folder: somebody may be in it
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder if there else folder.parent))
    try:
        new = draft / "new"  # made with the rights that folders have here; the draft itself is private
        for path, text in texts.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if there:
            made = list(new.iterdir())
            for one in made:  # somebody may have been quicker
                if os.path.lexists(folder / one.name):
                    raise Occupied(f"{folder / one.name} is there already")
            for one in made:
                one.replace(folder / one.name)
        else:
            new.replace(folder)
    finally:
        shutil.rmtree(draft)


def must_be_free(folder: Path) -> None:
    """Raises Occupied unless ``folder`` is missing or empty, and can be made where it is wanted."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Occupied(f"{folder} is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise Occupied(f"the folder {folder} is not empty")
    if not folder.parent.is_dir():
        raise Occupied(f"there is no folder {folder.parent} to make {folder.name} in")


def write_new(file: Path, text: str) -> None:
    """Write a new file, and its folder. Raises Occupied when it is there already, OSError when it cannot be made."""
    if file.parent.exists() and not file.parent.is_dir():
        raise Occupied(f"{file.parent} is no folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise Occupied(f"{file} is there already") from None
