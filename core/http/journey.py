"""The journey over HTTP: scan, basket, order, pay, receipt. Handlers only hand over; services decide."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, delete, get, patch, post
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, JSONBody, QueryParameter

from tillhook.core.domain.receipt_render import render_html, render_text
from tillhook.core.http.calls import BUYERS, Call, IdempotencyKey, answers, once_of, send, show, work
from tillhook.core.services import ordering, paying, reading, shopping
from tillhook.core.services.wire import (
    AddPaymentRequest,
    BasketView,
    CreateOrderRequest,
    OrderCreated,
    OrderView,
    PaymentDetailsRequest,
    PaymentView,
    QuantityRequest,
    ScanRequest,
    ScanView,
    SessionRequest,
    SessionView,
)

_BUY: Final = {"roles": BUYERS}


def _example(value: dict[str, Any]) -> Any:
    return Body(examples=[Example(value=value)])


ScanBody = Annotated[ScanRequest, _example({"store_id": "sto_demo_dk", "barcode": "9521234001010", "quantity": 1})]
OrderBody = Annotated[
    CreateOrderRequest, _example({"store_id": "sto_demo_dk", "basket_id": "bsk_…", "platform": "ios"})
]
SessionBody = Annotated[SessionRequest, _example({"order_id": "ord_…"})]
PaymentBody = Annotated[
    AddPaymentRequest,
    _example({"session_id": "ses_…", "payment_method": "credit_card", "payment_details": {"token": "tok_approve"}}),
]
DetailsBody = Annotated[PaymentDetailsRequest, _example({"session_id": "ses_…", "payment_details": {"result": "ok"}})]


@post(
    "/items/v2/scan/",
    status_code=200,
    opt=_BUY,
    tags=["Basket"],
    responses=answers(ScanView, "The scanned line, its price, and the basket as it now is."),
)
async def scan_item(data: ScanBody, request: Call, idempotency_key: IdempotencyKey = None) -> Response[bytes]:
    """Scan a barcode or an EPC into a basket; without `basket_id` a new basket begins."""
    once = once_of(request, idempotency_key, data)
    return send(await work(request, shopping.scan, data, once))


@get(
    "/baskets/v1/{basket_id:str}/",
    opt=_BUY,
    tags=["Basket"],
    responses=answers(BasketView, "The basket."),
)
async def read_basket(basket_id: FromPath[str], request: Call) -> Response[bytes]:
    """Read a basket."""
    return show(await work(request, shopping.read, basket_id))


@patch(
    "/baskets/v1/{basket_id:str}/items/{line_no:int}/",
    opt=_BUY,
    tags=["Basket"],
    responses=answers(BasketView, "The basket with the new quantity."),
)
async def change_quantity(
    basket_id: FromPath[str],
    line_no: FromPath[int],
    data: JSONBody[QuantityRequest],
    request: Call,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Set the quantity of a line."""
    once = once_of(request, idempotency_key, data)
    return send(await work(request, shopping.set_quantity, basket_id, line_no, data.quantity, once))


@delete(
    "/baskets/v1/{basket_id:str}/items/{line_no:int}/",
    status_code=200,
    opt=_BUY,
    tags=["Basket"],
    responses=answers(BasketView, "The basket without the line."),
)
async def remove_line(
    basket_id: FromPath[str],
    line_no: FromPath[int],
    request: Call,
    epc: Annotated[
        str | None, QueryParameter(max_length=200, description="Remove one tagged piece of the line.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Take a line, or one tagged piece of it, out of the basket."""
    once = once_of(request, idempotency_key, None)
    return send(await work(request, shopping.remove, basket_id, line_no, epc, once))


@post(
    "/orders/v1/create-order/",
    status_code=200,
    opt=_BUY,
    tags=["Order"],
    responses=answers(OrderCreated, "The basket's order; the same one however often it is asked for."),
)
async def create_order(data: OrderBody, request: Call, idempotency_key: IdempotencyKey = None) -> Response[bytes]:
    """Make the order of a basket. The basket cannot change from here on."""
    once = once_of(request, idempotency_key, data)
    return send(await work(request, ordering.create_order, data, once))


@get(
    "/orders/v1/",
    opt=_BUY,
    tags=["Order"],
    responses={200: ResponseSpec(list[OrderCreated], description="Newest first.", generate_examples=False)},
)
async def list_orders(
    request: Call, limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")] = 20
) -> Response[bytes]:
    """List the caller's own orders."""
    return show(await work(request, reading.orders, limit))


@get(
    "/orders/v1/{order_id:str}/",
    opt=_BUY,
    tags=["Order"],
    responses=answers(OrderView, "The order, its payment and everything that happened to it."),
)
async def read_order(order_id: FromPath[str], request: Call) -> Response[bytes]:
    """Read an order with its timeline. A payment that is not settled yet is inquired about first."""
    return show(await work(request, reading.order, order_id))


@post(
    "/orders/v1/{order_id:str}/cancel/",
    status_code=200,
    opt=_BUY,
    tags=["Order"],
    responses=answers(OrderCreated, "The cancelled order; its basket can change again."),
)
async def cancel_order(
    order_id: FromPath[str], request: Call, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Cancel an order that is not paid."""
    once = once_of(request, idempotency_key, None)
    return send(await work(request, ordering.cancel, order_id, once))


@get(
    "/orders/v1/{order_id:str}/receipt",
    opt=_BUY,
    tags=["Order"],
    responses={200: ResponseSpec(str, description="The receipt.", generate_examples=False, media_type=MediaType.TEXT)},
)
async def read_receipt(
    order_id: FromPath[str],
    request: Call,
    as_: Annotated[str | None, QueryParameter(name="format", description="`text` or `html`; else by `Accept`.")] = None,
    width: Annotated[int, QueryParameter(ge=24, le=80, description="Columns of the text form.")] = 42,
) -> Response[str]:
    """The receipt as text, or as one HTML page where that is preferred."""
    receipt = await work(request, reading.receipt, order_id)
    wants_html = as_ == "html" or (as_ is None and "text/html" in request.headers.get("accept", ""))
    if wants_html:
        return Response(render_html(receipt), media_type=MediaType.HTML)
    return Response(render_text(receipt, width), media_type=MediaType.TEXT)


@post(
    "/payments/v1/ms-pay/create-session/",
    status_code=200,
    opt=_BUY,
    tags=["Payment"],
    responses=answers(SessionView, "The session. An order of zero is complete already."),
)
async def create_session(data: SessionBody, request: Call) -> Response[bytes]:
    """Open the payment session of an order, or return the one it has."""
    return send(await work(request, paying.create_session, data))


@post(
    "/payments/v1/ms-pay/add-payment/",
    status_code=200,
    opt=_BUY,
    tags=["Payment"],
    responses={
        **answers(PaymentView, "Settled: CAPTURED, REJECTED or ACTION_REQUIRED."),
        **answers(PaymentView, "Not known yet: neither failed nor done. Read the order.", 202),
    },
)
async def add_payment(data: PaymentBody, request: Call, idempotency_key: IdempotencyKey = None) -> Response[bytes]:
    """Charge the order's total."""
    once = once_of(request, idempotency_key, data)
    return send(await work(request, paying.add_payment, data, once))


@post(
    "/payments/v1/ms-pay/payment-details/",
    status_code=200,
    opt=_BUY,
    tags=["Payment"],
    responses={**answers(PaymentView, "Settled."), **answers(PaymentView, "Not known yet. Read the order.", 202)},
)
async def confirm_payment(data: DetailsBody, request: Call, idempotency_key: IdempotencyKey = None) -> Response[bytes]:
    """Go on after the shopper's action (3-D Secure)."""
    once = once_of(request, idempotency_key, data)
    return send(await work(request, paying.confirm, data, once))


JOURNEY: Final = (
    scan_item,
    read_basket,
    change_quantity,
    remove_line,
    create_order,
    list_orders,
    read_order,
    cancel_order,
    read_receipt,
    create_session,
    add_payment,
    confirm_payment,
)
