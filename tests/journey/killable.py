"""A real server that kills itself (SIGKILL) when it reaches a given step: ``python killable.py CONFIG PORT [STEP]``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import uvicorn

from tillhook.app import assemble, create_app
from tillhook.core.config.loading import load


def main() -> None:
    configuration, port, *step = sys.argv[1:]

    def checkpoint(name: str) -> None:
        if step and name == step[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    app = create_app(assemble(load(Path(configuration), os.environ), checkpoint=checkpoint))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
