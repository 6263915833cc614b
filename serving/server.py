"""``nmr serve``: the BentoML service in this one process, so that nothing outlives it."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvicorn

from nmr_ml.errors import OutsideError, UsageError
from nmr_ml.runtime import console
from serving.api.settings import BUNDLE_VARIABLE, TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Requests that run when the server is told to stop get this long.
GRACE_S = 3


def bind(host: str, port: int, token: str | None) -> socket.socket:
    """Return a listening socket; `port` 0 takes a free one.

    Raises
    ------
    UsageError
        ``token_needed`` for an address that others reach, where there is no token.
    OutsideError
        ``port_busy``, or ``cannot_bind`` where the address is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if token is None and not ipaddress.ip_address(address[0]).is_loopback:
            raise UsageError(
                "token_needed",
                f"{host} can be reached from other machines, and {TOKEN_VARIABLE} is not set.",
                f"Set {TOKEN_VARIABLE} to a secret, or serve on 127.0.0.1.",
            )
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> OutsideError:
    if error.errno == errno.EADDRINUSE:
        return OutsideError(
            "port_busy",
            f"Port {port} on {host} is taken by another process.",
            "End that process, or give another --port.",
        )
    return OutsideError(
        "cannot_bind",
        f"{host}:{port} cannot be listened on: {error.strerror}.",
        "Give an address of this machine and a port you may use.",
    )


def serve(listener: socket.socket, bundle: Path) -> None:
    """Serve `bundle` on `listener` until the process is told to stop."""
    with prepared(bundle) as server:
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            console.say("Stopped.")


@contextmanager
def prepared(bundle: Path) -> Iterator[uvicorn.Server]:
    """Yield a server of `bundle`, to be run inside the block."""
    os.environ[BUNDLE_VARIABLE] = str(bundle)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("serving", "bentoml.access"):
        logging.getLogger(name).setLevel(logging.INFO)
    with TemporaryDirectory(prefix="nmr-metrics-", ignore_cleanup_errors=True) as folder:
        # BentoML's Prometheus client keeps its counters there; `bentoml serve` sets it too.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from serving.service import RecoveryService  # reads the variables set above

        yield _Announcing(
            uvicorn.Config(
                RecoveryService.to_asgi(),  # type: ignore[attr-defined]  # made by the decorator
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )


class _Announcing(uvicorn.Server):
    """Says where it serves once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        from serving.service import app

        host, port = (sockets or [])[0].getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        bundle = app.state.bundle
        what = f"{bundle.model_name} version {bundle.model_version}" if bundle else "no model"
        console.say(f"Serving {what} on {where}")
