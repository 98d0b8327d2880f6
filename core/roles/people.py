"""The roles that a caller may have."""

from __future__ import annotations

from typing import Final

SHOPPER: Final = "shopper"
GUEST: Final = "guest"
STAFF: Final = "staff"
DEVICE: Final = "device"
OPERATOR: Final = "operator"
ROLES: Final = frozenset({SHOPPER, GUEST, STAFF, DEVICE, OPERATOR})

SHOPPERS: Final = frozenset({SHOPPER, GUEST})
