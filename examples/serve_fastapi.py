"""A model file behind HTTP, with FastAPI and uvicorn: a starting point to copy, not a server of our own.

    pip install "fastnet-mlp[serve]"
    python examples/serve_fastapi.py model.safetensors --port 8000

GET /health answers 200 as long as the process lives, GET /ready once the model is loaded (503 before), GET
/model tells what goes in and what comes out. POST /predict takes {"rows": [[5.1, 3.5, ...], ...]}, one row or
many, and answers in their order: {"labels": [...], "probabilities": [[...], ...]} for a classifier,
{"predictions": ...} for a regression.

A body of more than `MOST_BYTES` gets 413 and is not read on. One that is no such JSON, has more than
`MOST_ROWS` rows, rows of another length, or numbers that are not finite in the model's precision gets 422 and
the reason. The work is done in threads: a prediction runs without the GIL and shares nothing, so it needs no
lock, and a row gets the same bits alone and in any batch.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import fastapi
import numpy as np
import pydantic
import uvicorn
from fastapi.concurrency import run_in_threadpool

import fastnet as fn

MOST_ROWS = 4096
MOST_BYTES = 4_000_000

Row = Annotated[list[float], pydantic.Field(min_length=1)]


class Question(pydantic.BaseModel):
    """What to predict."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    rows: Annotated[list[Row], pydantic.Field(min_length=1, max_length=MOST_ROWS)]


def create_app(path: str | os.PathLike[str]) -> fastapi.FastAPI:
    """Return the application; the model is loaded when it starts."""
    loaded: list[fn.Predictor] = []

    @asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        loaded.append(fn.load(path).compile())
        yield
        loaded.clear()

    app = fastapi.FastAPI(title="fastnet", lifespan=lifespan)

    def predictor() -> fn.Predictor:
        if not loaded:
            raise fastapi.HTTPException(503, "the model is not loaded")
        return loaded[0]

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        predictor()
        return {"status": "ready"}

    @app.get("/model")
    async def model() -> dict[str, Any]:
        net = predictor()
        about = {"inputs": net.n_in, "outputs": net.n_out, "output": net.output, "dtype": str(net.dtype)}
        return about | {"feature_names": net.feature_names, "classes": net.classes}

    @app.post("/predict")
    async def predict(request: fastapi.Request) -> dict[str, Any]:
        net, body = predictor(), bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                raise fastapi.HTTPException(413, f"at most {MOST_BYTES} bytes")
        return await run_in_threadpool(answer, net, bytes(body))

    return app


def answer(net: fn.Predictor, body: bytes) -> dict[str, Any]:
    """Predict for the rows of a request and put it into words."""
    A = net(checked(net, body).T).T
    if net.output == "regression":
        return {"predictions": A.tolist()}
    if net.output == "binary":
        A = np.hstack([1 - A, A])
    classes = net.classes or tuple(range(A.shape[1]))
    if net.output == "multilabel":
        labels: list[Any] = [[classes[k] for k in np.flatnonzero(row > 0.5)] for row in A]
    else:
        labels = [classes[k] for k in A.argmax(axis=1)]
    return {"labels": labels, "probabilities": A.tolist()}


def checked(net: fn.Predictor, body: bytes) -> Any:
    """Return the rows of a request as an array, or raise what says why not."""
    try:
        rows = Question.model_validate_json(body).rows
    except pydantic.ValidationError as error:
        reasons = error.errors(include_input=False, include_url=False, include_context=False)
        raise fastapi.HTTPException(422, reasons) from None
    for k, row in enumerate(rows):
        if len(row) != net.n_in:
            raise fastapi.HTTPException(422, f"rows[{k}] must hold {net.n_in} numbers, got {len(row)}")
    with np.errstate(over="ignore"):
        array = np.array(rows, dtype=net.dtype)
    too_large = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(too_large):
        raise fastapi.HTTPException(422, f"rows[{too_large[0]}] holds a number too large for {net.dtype}")
    return array


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="Serve a model file.")
    parser.add_argument("model", help="a file that fastnet.save wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    arguments = parser.parse_args()
    try:  # a model that is missing, damaged or of another kind is told before the server starts
        model = fn.load(arguments.model)
    except (OSError, ValueError, ImportError) as error:
        parser.exit(1, f"{parser.prog}: error: {error}\n")
    if not isinstance(model, fn.Network):
        kind = type(model).__name__
        parser.exit(1, f"{parser.prog}: error: {arguments.model} must hold a Network, got a {kind}\n")
    with socket.create_server((arguments.host, arguments.port)) as listening:
        host, port = listening.getsockname()[:2]
        print(f"serving {arguments.model} on http://{host}:{port}", flush=True)
        uvicorn.Server(uvicorn.Config(create_app(arguments.model), log_level="warning")).run([listening])


if __name__ == "__main__":
    main()
