"""A plugin's certificate: what was proven of it, signed, and only of exactly this code.

The file is JSON for people, with a detached signature (JWS, RFC 7515 appendix F, Ed25519) over its content, and the
public key that made it. Whose key it is, and whether to trust it, is for the reader to say: by the key's thumbprint.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Struct

from tillhook.core.plugins.home import Home

ALGORITHM: Final = "Ed25519"
LARGEST: Final = 1_000_000
"""Bytes of a certificate that are read."""
_PUBLIC: Final = frozenset({"crv", "kty", "x"})
"""What a public key has; its thumbprint is of no more."""


class Tier(StrEnum):
    """How much of a plugin is proven; each holds what the one before it holds."""

    NONE = "none"
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"

    def reaches(self, other: Tier) -> bool:
        """Whether this is as high as the other one."""
        order = list(Tier)
        return order.index(self) >= order.index(other)


class Checked(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: whether the plugin keeps it, and what was found."""

    rule: str
    tier: Tier
    kept: bool
    found: str


class Certificate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``tillhook certify`` found."""

    plugin: str
    distribution: str
    version: str
    code: str
    """SHA-256 of the files of its package."""
    tillhook: str
    hookspec_version: int
    issued_at: datetime
    tier: Tier
    rules: tuple[Checked, ...]
    hooks: tuple[str, ...]
    """Those that it implements."""
    exercised: tuple[str, ...]
    """Those that the suites called, and the verbs of what it offers (``payment_gateways.authorise``)."""
    capabilities: Mapping[str, tuple[Mapping[str, Any], ...]]
    """Gateway → what it declared, once for each way in which its settings had it declare something else."""
    suites: Mapping[str, Mapping[str, int]]
    """Contract → passed, skipped, failed."""
    faults: Mapping[str, Mapping[str, str]]
    """Gateway → ``verb × phase`` of the fault matrix → passed, skipped or failed."""
    milliseconds: Mapping[str, float]
    """Hook, or verb of what it offers → the slowest call but the slowest twentieth."""
    import_milliseconds: float
    """What importing its package takes beyond importing tillhook."""


class _Signed(Struct, frozen=True, forbid_unknown_fields=True):
    certificate: msgspec.Raw
    signature: str
    key: dict[str, Any]


class Held(Struct, frozen=True):
    """A certificate as it was found: ``reason`` says why it counts for nothing; empty: it counts."""

    certificate: Certificate
    thumbprint: str
    reason: str = ""


def file_of(folder: str | Path, plugin: str) -> Path:
    """Where a plugin's certificate is, whatever the plugin is called."""
    return Path(folder, f"{quote(plugin, safe='')}.json")


def signed(certificate: Certificate, key: OKPKey) -> bytes:
    """The certificate's file."""
    content = _content(certificate)
    header = {"alg": ALGORITHM, "kid": key.thumbprint()}
    head, _, mark = jws.serialize_compact(header, content, key, algorithms=[ALGORITHM]).split(".")
    public = {name: value for name, value in key.as_dict(private=False).items() if name in _PUBLIC}
    whole = msgspec.json.encode(_Signed(msgspec.Raw(content), f"{head}..{mark}", public), order="deterministic")
    return msgspec.json.format(whole, indent=2) + b"\n"


def read(file: Path, trusted: Collection[str]) -> Held:
    """A certificate and whether its signature holds and is of a key in ``trusted`` (thumbprints, RFC 7638).

    Raises ValueError naming the file for what is no certificate, OSError when it cannot be read.
    """
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} is no certificate: it is larger than {LARGEST} bytes")
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_Signed)
        certificate = msgspec.json.decode(found.certificate, type=Certificate)
        key = OKPKey.import_key(found.key)
        thumbprint = key.thumbprint()
        if not found.key.keys() <= {*_PUBLIC, "d"}:
            raise ValueError("its key says more than a key does")  # noqa: TRY301
        head, gap, mark = found.signature.split(".")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, JoseError) as error:
        raise ValueError(f"{file} is no certificate of this version of tillhook: {error}") from error
    if key.is_private:
        return Held(certificate, thumbprint, "it shows the private key that signed it: throw both away")
    content = urlsafe_b64encode(_content(certificate)).rstrip(b"=").decode()
    try:
        jws.deserialize_compact(f"{head}.{gap or content}.{mark}", key, algorithms=[ALGORITHM])
    except (ValueError, TypeError, KeyError, AttributeError, JoseError) as error:
        return Held(certificate, thumbprint, f"its signature does not hold ({type(error).__name__})")
    if gap:
        return Held(certificate, thumbprint, "its signature is of something else that it brings along")
    if thumbprint not in trusted:
        return Held(certificate, thumbprint, f"it is signed by the key {thumbprint}, which is not trusted here")
    return Held(certificate, thumbprint)


def tier_of(folder: str | Path, plugin: str, version: str, module: str, trusted: Collection[str]) -> tuple[Tier, str]:
    """The tier that an installed plugin holds by its certificate in ``folder``, and why it holds none.

    ``module`` is where its class is. Without a certificate there is nothing to say.
    """
    file = file_of(folder, plugin)
    if not file.exists():
        return Tier.NONE, ""
    try:
        held = read(file, trusted)
    except ValueError as error:
        return Tier.NONE, str(error)
    except OSError as error:
        return Tier.NONE, f"{file}: {error.strerror}"
    reason = held.reason or differs(held.certificate, plugin, version, module)
    return (Tier.NONE, f"{file}: {reason}") if reason else (held.certificate.tier, "")


def differs(certificate: Certificate, plugin: str, version: str, module: str) -> str:
    """Why a certificate is not of this installed plugin; empty when it is."""
    if (certificate.plugin, certificate.version) != (plugin, version):
        return f"it is of {certificate.plugin} {certificate.version}, installed is {plugin} {version}"
    try:
        changed = certificate.code != code_of(Home.of(module))
    except (LookupError, OSError) as error:
        return f"the code cannot be compared: {error}"
    return f"the code has changed since; run `tillhook certify {plugin}` again" if changed else ""


def code_of(home: Home) -> str:
    """SHA-256 over the names and contents of a package's files. Raises OSError when one cannot be read."""
    mark = hashlib.sha256()
    for name, file in home.files():
        content = file.read_bytes()
        mark.update(f"{name}\0{len(content)}\0".encode() + content)
    return mark.hexdigest()


def trusted_here(key_file: str, further: Collection[str]) -> frozenset[str]:
    """The thumbprints that count: of the system's own key, if it has one, and of those in the settings.

    Raises ValueError when its own key cannot be used.
    """
    own = Path(key_file)
    return frozenset(further) | ({key_at(own).thumbprint()} if own.exists() else frozenset())


def key_at(file: Path) -> OKPKey:
    """The private key in ``file`` (JWK), made there with mode 0600 if it is missing.

    Raises ValueError when others may read it or when it is none, OSError when it can be neither read nor made.
    """
    if not file.exists():
        _make_key(file)
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ValueError(f"{file} holds a private key, but others may read it: chmod 600 it")
    try:
        key = OKPKey.import_key(msgspec.json.decode(file.read_bytes()))
    except (ValueError, TypeError, KeyError, AttributeError, JoseError) as error:
        raise ValueError(f"{file} holds no Ed25519 key as JWK; remove it to have a new one made") from error
    if not key.is_private or key.curve_name != "Ed25519":
        raise ValueError(f"{file} holds no private Ed25519 key; remove it to have a new one made")
    return key


def _make_key(file: Path) -> None:
    """Write a new key beside the place, then link it there: whoever links first wins, nobody sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    key = OKPKey.generate_key("Ed25519", private=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(msgspec.json.encode(key.as_dict(private=True)))
            opened.flush()
            os.fsync(opened.fileno())
        os.link(draft, file)
    except FileExistsError:
        return  # another process was first; its key is the key
    finally:
        draft.unlink(missing_ok=True)


def _content(certificate: Certificate) -> bytes:
    return msgspec.json.encode(certificate, order="deterministic")
