"""Problems: what went wrong, with which thing, and what to do; each with a stable code.

A problem is an answer of the domain, not a defect. Over HTTP it becomes RFC 9457 problem+json
(``docs/errors.md`` is generated from the table below).
"""

from __future__ import annotations

from typing import Final


class ProblemKind:
    """One row of the error reference: a stable code, its HTTP status and its meaning."""

    __slots__ = ("code", "meaning", "status", "title")

    def __init__(self, code: str, status: int, title: str, meaning: str) -> None:
        self.code = code
        self.status = status
        self.title = title
        self.meaning = meaning
        if code in PROBLEMS:
            raise ValueError(f"problem code {code!r} is declared twice")
        PROBLEMS[code] = self

    def __call__(self, detail: str, **facts: object) -> Problem:
        """Build the exception to raise: ``detail`` names what, which and what to do."""
        return Problem(self, detail, facts)

    def __repr__(self) -> str:
        return f"<ProblemKind {self.code} {self.status}>"


class Problem(Exception):
    """A refusal that its reader can act on. ``facts`` are machine-readable members of the body."""

    def __init__(self, kind: ProblemKind, detail: str, facts: dict[str, object]) -> None:
        super().__init__(f"{kind.code}: {detail}")
        self.kind = kind
        self.detail = detail
        self.facts = facts

    @property
    def code(self) -> str:
        return self.kind.code


PROBLEMS: Final[dict[str, ProblemKind]] = {}

# --- reading the request
malformed_body = ProblemKind(
    "malformed_body", 400, "The body cannot be read", "Not JSON, a field is missing, of the wrong type or unknown."
)
malformed_request = ProblemKind(
    "malformed_request",
    400,
    "The request cannot be read",
    "A header or a parameter in the address is missing, of the wrong type or out of range.",
)
unsupported_media_type = ProblemKind(
    "unsupported_media_type", 415, "Only JSON is read here", "Send the body with `Content-Type: application/json`."
)
body_too_large = ProblemKind(
    "body_too_large", 413, "The body is too large", "Larger than the setting `limits.body_bytes`."
)
not_found = ProblemKind("not_found", 404, "No such resource", "No route or resource has this address.")
method_not_allowed = ProblemKind(
    "method_not_allowed", 405, "Method not allowed", "The address exists, but not with this HTTP method."
)
too_many_requests = ProblemKind(
    "too_many_requests", 429, "Too many requests", "Slow down; `Retry-After` says for how many seconds."
)
internal_error = ProblemKind(
    "internal_error", 500, "Something failed here", "A defect on our side; quote the request id when reporting it."
)
not_ready = ProblemKind(
    "not_ready", 503, "Not ready", "The server is starting, stopping, or a part it needs is missing."
)

# --- who may do what
unauthenticated = ProblemKind(
    "unauthenticated", 401, "Who are you?", "No bearer token, or one that is expired, unknown or badly signed."
)
forbidden = ProblemKind("forbidden", 403, "Not allowed", "The token's roles or stores do not allow this.")
idempotency_key_reused = ProblemKind(
    "idempotency_key_reused",
    422,
    "The idempotency key was used for something else",
    "The same `Idempotency-Key` came with a different request; use a new key.",
)
idempotency_in_progress = ProblemKind(
    "idempotency_in_progress",
    409,
    "The same request is still being worked on",
    "Repeat it in a moment with the same `Idempotency-Key`.",
)

# --- stores and items
store_not_found = ProblemKind("store_not_found", 404, "No such store", "No store has this `store_id`.")
store_inactive = ProblemKind("store_inactive", 403, "The store is not active", "The store is switched off.")
store_type_unavailable = ProblemKind(
    "store_type_unavailable",
    503,
    "The store's retailer is not available",
    "A plugin that this store type needs is quarantined; `tillhook plugins` names it.",
)
barcode_invalid = ProblemKind(
    "barcode_invalid", 400, "The code cannot be read", "Wrong length, wrong check digit, or not a code at all."
)
item_not_found = ProblemKind("item_not_found", 404, "No such item", "The code is well formed but not in the catalogue.")
item_not_for_sale = ProblemKind(
    "item_not_for_sale", 409, "The item is not for sale", "Blocked or recalled in this catalogue."
)
epc_already_sold = ProblemKind(
    "epc_already_sold", 409, "This piece was sold already", "The EPC is in the sold set; a gate would let it out."
)
epc_already_in_basket = ProblemKind(
    "epc_already_in_basket", 409, "This piece is in the basket already", "An EPC names one piece: it counts once."
)

# --- baskets
basket_not_found = ProblemKind("basket_not_found", 404, "No such basket", "Unknown, or another shopper's basket.")
basket_expired = ProblemKind("basket_expired", 460, "The basket has expired", "Start a new basket by scanning again.")
basket_ordered = ProblemKind(
    "basket_ordered", 409, "The basket is already an order", "Pay or cancel the order; it can no longer be changed."
)
basket_empty = ProblemKind("basket_empty", 422, "The basket is empty", "Scan something before checking out.")
basket_refused = ProblemKind(
    "basket_refused", 422, "The retailer does not accept this basket", "`problems` lists what stands in the way."
)
basket_changed = ProblemKind(
    "basket_changed", 409, "The basket changed meanwhile", "Too many changes at once; read it and try again."
)
basket_full = ProblemKind("basket_full", 422, "The basket is full", "More lines than `basket.max_lines` allows.")
line_not_found = ProblemKind("line_not_found", 404, "No such line", "The basket has no line with this number.")
quantity_invalid = ProblemKind(
    "quantity_invalid", 422, "The quantity is not possible", "Below one, or more than the item or store allows."
)
wrong_store = ProblemKind("wrong_store", 409, "Another store's basket", "A basket belongs to the store it began in.")
wrong_currency = ProblemKind(
    "wrong_currency", 422, "Wrong currency", "The currency differs from the store's or the order's."
)

# --- orders and payments
order_not_found = ProblemKind("order_not_found", 404, "No such order", "Unknown, or another shopper's order.")
order_not_payable = ProblemKind(
    "order_not_payable", 409, "The order cannot be paid", "It is cancelled, or paid already."
)
order_not_cancellable = ProblemKind(
    "order_not_cancellable", 409, "The order cannot be cancelled", "It is paid, or a payment is still open."
)
order_not_complete = ProblemKind(
    "order_not_complete", 409, "The order is not complete", "There is no receipt before the order is paid."
)
already_paid = ProblemKind("already_paid", 409, "Paid already", "The order was captured; it is never charged twice.")
payment_in_progress = ProblemKind(
    "payment_in_progress",
    409,
    "A payment is under way",
    "Another payment attempt for this order is open; read the order until it is settled.",
)
session_not_found = ProblemKind("session_not_found", 404, "No such payment session", "Create a session first.")
amount_mismatch = ProblemKind(
    "amount_mismatch", 422, "Wrong amount", "The amount sent differs from the order's total; nothing was charged."
)
payment_not_confirmable = ProblemKind(
    "payment_not_confirmable", 409, "Nothing to confirm", "The payment is not waiting for a shopper's action."
)
payment_method_unknown = ProblemKind(
    "payment_method_unknown", 422, "No such payment method", "The store does not offer this payment method."
)
gateway_unavailable = ProblemKind(
    "gateway_unavailable",
    503,
    "The payment provider cannot be reached",
    "This request certainly charged nothing; try again.",
)
plugin_failed = ProblemKind(
    "plugin_failed", 502, "A plugin failed", "A plugin whose answer is needed raised; `plugin` and `hook` name it."
)
plugin_refused = ProblemKind(
    "plugin_refused", 422, "The plugin does not do this", "A route of a plugin refused the request; `detail` says why."
)
