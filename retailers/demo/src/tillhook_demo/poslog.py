"""The retailer's transaction log: one sale as JSON, in ARTS words, amounts as decimal text."""

from __future__ import annotations

from typing import Any

from tillhook import BasketLine, CompletedOrder, Money, Store


def transaction(order: CompletedOrder, store: Store, workstation_id: str) -> dict[str, Any]:
    """The document of a sale; the same order gives the same document.

    ``extended_amount`` is what a line costs after its discounts. The lines, plus the tax where prices exclude it, sum
    to ``totals.grand``, and so do the tenders.
    """

    def amount(minor: int) -> str:
        return f"{Money(minor, order.total.currency).decimal:f}"

    tax_of = dict(order.tax.by_line)
    return {
        "transaction_type": "sale",
        "transaction_id": order.transaction_id_poslog,
        "order_id": order.order_id,
        "unit_id": store.retailer_store_id,
        "workstation_id": workstation_id,
        "sequence_number": order.transaction_number,
        "business_day_date": order.business_day_date.isoformat(),
        "begin_date_time": order.created_at.isoformat(),
        "end_date_time": order.completed_at.isoformat(),
        "training_mode": order.demo,
        "currency_code": order.total.currency,
        "line_items": [
            {
                "sequence_number": line.line_no,
                "gtin": line.gtin,
                "item_id": line.retailer_product_id,
                "description": line.name,
                "quantity": line.quantity,
                "unit_price": amount(line.unit_price),
                "discounts": _discounts(line, amount(line.discount)),
                "extended_amount": amount(line.amount),
                "tax": {"code": line.tax_code, "amount": amount(tax_of.get(line.line_no, 0))},
                "epcs": list(line.epcs),
            }
            for line in order.lines
        ],
        "taxes": [
            {
                "code": row.code,
                "percent": f"{row.percent:f}",
                "taxable_amount": amount(row.taxable),
                "amount": amount(row.tax),
            }
            for row in order.tax.breakup
        ],
        "tenders": [
            {"type": tender.method, "amount": amount(tender.amount.minor), "reference": tender.psp_reference}
            for tender in order.tenders
        ],
        "totals": {
            "gross": amount(sum(line.unit_price * line.quantity for line in order.lines)),
            "discount": amount(sum(line.discount for line in order.lines)),
            "tax": amount(order.tax.total_tax),
            "tax_included": order.tax.included,
            "grand": amount(order.total.minor),
        },
    }


def _discounts(line: BasketLine, amount: str) -> list[dict[str, str]]:
    return [{"amount": amount, "reason": ", ".join(line.promotions)}] if line.discount else []
