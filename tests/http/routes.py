"""Routes for tests of the edge: one for each way in which a handler can end."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from tillhook.core.domain.problems import basket_expired, not_ready, store_not_found
from tillhook.core.http.auth import PUBLIC
from tillhook.core.roles.offers import Principal
from tillhook.core.telemetry import logs

Caller = Request[Principal, Any, State]


class Piece(Struct, forbid_unknown_fields=True):
    weight: int


class Parcel(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)]
    label: str = ""
    pieces: list[Piece] = []


@post("/parcels", opt={"roles": PUBLIC}, status_code=200)
async def send_parcel(data: JSONBody[Parcel]) -> Parcel:
    """Give a parcel back."""
    return data


@get("/parcels/{parcel_id:str}", opt={"roles": PUBLIC})
async def read_parcel(
    parcel_id: FromPath[str], limit: Annotated[int, QueryParameter(ge=1, le=9)] = 1
) -> dict[str, str]:
    return {"parcel": parcel_id * limit}


@put("/parcels/{parcel_id:str}", opt={"roles": PUBLIC}, sync_to_thread=True)
def replace_parcel(parcel_id: FromPath[str], data: JSONBody[Parcel]) -> Parcel:
    """Put another parcel in its place."""
    return data


@delete("/parcels/{parcel_id:str}", opt={"roles": frozenset({"operator"})}, sync_to_thread=True)
def lose_parcel(parcel_id: FromPath[str]) -> None:
    """Lose a parcel."""


@get("/mine", opt={"roles": frozenset({"shopper", "operator"})})
async def mine(request: Caller) -> dict[str, str]:
    """Say who is asking."""
    return {"subject": request.user.subject, "again": request.state.who.subject}


@get("/staff-only", opt={"roles": frozenset({"staff"})}, sync_to_thread=True)
def staff_only() -> dict[str, str]:
    logs.note(order_id="ord_1")
    return {}


@get("/broken", opt={"roles": PUBLIC}, sync_to_thread=True)
def broken() -> None:
    raise RuntimeError("the password is hunter2")


@get("/expired", opt={"roles": PUBLIC}, sync_to_thread=True)
def expired() -> None:
    raise basket_expired("The basket bsk_1 has expired; scan again.", basket_id="bsk_1", status="displaced")


@get("/gone", opt={"roles": PUBLIC})
async def gone() -> None:
    raise store_not_found("No store has the id 'x'.", store_id="x")


@get("/busy", opt={"roles": PUBLIC})
async def busy() -> None:
    raise not_ready("The issuer is silent.", retry_after=29.2)


@get("/page", opt={"roles": PUBLIC}, media_type="text/html")
async def page() -> Response[str]:
    return Response("<p>hello</p>", media_type="text/html")


EVERY = (send_parcel, read_parcel, replace_parcel, lose_parcel, mine, staff_only, broken, expired, gone, busy, page)
