"""One ES256 key pair in one file, however many processes want it first."""

from __future__ import annotations

import json
import os
import secrets
import stat
import threading
from pathlib import Path

from joserfc.jwk import ECKey


class KeyFile:
    """The private key of the issuer. Made when it is first needed; safe to use from several threads and processes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._key: ECKey | None = None
        self._lock = threading.Lock()

    def key(self) -> ECKey:
        """The key pair, with its id (``kid``).

        Raises PermissionError when others may read the file, ValueError when it holds no such key, OSError when it
        can be neither read nor made.
        """
        with self._lock:
            if self._key is None:
                if not self.path.exists():
                    self._make()
                self._key = self._read()
            return self._key

    def _make(self) -> None:
        """Write a new key beside the place, then link it there: whoever links first wins, nobody sees half a file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                json.dump(key.as_dict(private=True), file)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self.path)
        except FileExistsError:
            return  # another process was first; its key is the key
        finally:
            draft.unlink(missing_ok=True)

    def _read(self) -> ECKey:
        if os.name == "posix" and stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            raise PermissionError(f"{self.path} holds a private key, but others may read it: chmod 600 it.")
        try:
            key = ECKey.import_key(json.loads(self.path.read_text(encoding="ascii")))
        except Exception as error:
            raise ValueError(f"{self.path} holds no EC key as JWK; remove it to have a new one made.") from error
        if not key.is_private or key.curve_name != "P-256":
            raise ValueError(f"{self.path} holds no private P-256 key; remove it to have a new one made.")
        key.ensure_kid()
        return key
