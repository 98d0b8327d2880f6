"""What HTTP alone costs: a bare Litestar that reads the same requests and sends them back. ``peer.py PORT``."""

import sys

import uvicorn
from litestar import Litestar, post
from msgspec import Struct


class Scan(Struct):
    store_id: str
    barcode: str
    quantity: int


@post("/echo/", status_code=200)
async def echo(data: Scan) -> Scan:
    return data


if __name__ == "__main__":
    app = Litestar([echo], openapi_config=None, logging_config=None)
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off", ws="none")
