"""`motion-transfer serve`: the page, the endpoints and the workers behind them."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import tyro

from motion_transfer import weights
from motion_transfer.errors import InputError
from motion_transfer.generator.generators import GeneratorName
from motion_transfer.pipeline import Device
from motion_transfer.web.limits import Limits

if TYPE_CHECKING:  # what comes with it takes seconds
    from motion_transfer.web.service import Service

_LOG = logging.getLogger(__name__)
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Running:
    """A server that runs.

    Args:
        address: of the page.
        public_address: through Gradio's tunnel, with `share`.
        service: what it does its work with.
    """

    address: str
    public_address: str | None
    service: Service


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Where the app is reached and what it does its work with.

    Args:
        host: address to listen at; 127.0.0.1 is this machine only, 0.0.0.0 everybody who can
            reach it.
        port: to listen at; 0 finds a free one.
        share: open a public address through Gradio's tunnel as well.
        auth_file: lines `name:password`; whoever is not in it is kept out.
        folder: where uploads and results live; the user's cache directory by default.
        workers: renders at a time.
        device: where to compute.
        generator: what re-renders the person.
        generator_weights: of a learned generator, as `transfer --weights` takes them.
        limits: what is accepted.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth_file: Path | None = None
    folder: Path | None = None
    workers: int = 1
    device: Device = "auto"
    generator: GeneratorName = "refined"
    generator_weights: Path | None = None
    limits: Annotated[Limits, tyro.conf.arg(name="")] = Limits()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise InputError(f"--port must lie in 0 to 65535, got {self.port}")
        if self.workers < 1:
            raise InputError(f"--workers must be at least 1, got {self.workers}")
        if self.share and self.auth_file is None:
            raise InputError("--share opens the server to everybody; give it an --auth-file")


def serve(options: Annotated[ServeOptions, tyro.conf.arg(name="")] = ServeOptions()) -> None:
    """Run the browser app until Ctrl+C.

    Args:
        options: see `ServeOptions`.

    Raises:
        InputError: an option cannot be used.
        FileNotFoundError: there is no such file of users.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio's own start-up requests
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    with running(options) as server:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, end)
        print(f"motion-transfer is at {server.address}", flush=True)
        if server.public_address:
            print(f"and for everybody at {server.public_address}", flush=True)
        if options.host not in LOCAL and options.auth_file is None:
            _LOG.warning("warning: whoever can reach this machine can use it; see --auth-file")
        stop.wait()


@contextlib.contextmanager
def running(options: ServeOptions) -> Iterator[Running]:
    """A server for the time of a `with` block; errors as of `serve`.

    Yields:
        Its address and its jobs.
    """
    from motion_transfer.web.access import read_users

    given = options.generator_weights
    if given is not None and not given.exists():
        raise FileNotFoundError(f"--generator-weights: no such file: {given}")
    users = None if options.auth_file is None else read_users(options.auth_file)
    folder = (options.folder or weights.cache_dir() / "web").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # both are read when Gradio is imported or builds its page
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware

    from motion_transfer.web.access import BasicAuth, Guard, ask_for_password
    from motion_transfer.web.components import read_asset
    from motion_transfer.web.jobs import JobStore
    from motion_transfer.web.metrics import Metrics
    from motion_transfer.web.page import HEAD, THEME, build_page
    from motion_transfer.web.routes import make_routes
    from motion_transfer.web.service import Service

    metrics = Metrics()
    store = JobStore(folder, options.limits, num_workers=options.workers, observe=metrics.ended)
    metrics.watch(store.count)
    service = Service(
        store, metrics, device=options.device, generator=options.generator, weights=given
    )
    page = None
    try:
        page = build_page(service)
        max_bytes = options.limits.max_upload_mb * 1_000_000
        _, address, public_address = page.launch(
            server_name=options.host, server_port=options.port or free_port(options.host),
            share=options.share,
            prevent_thread_lock=True, quiet=True, ssr_mode=False, show_error=False,
            max_file_size=max_bytes, footer_links=[], theme=THEME, css=read_asset("page.css"),
            head=HEAD, allowed_paths=[], enable_monitoring=False, mcp_server=False,
            _frontend=False,  # else it gives up where the page takes 3 s on a busy machine
            app_kwargs={
                "routes": make_routes(service),
                "middleware": [
                    Middleware(Guard, max_bytes=3 * max_bytes),  # photo, dance and background
                    Middleware(
                        AuthenticationMiddleware, backend=BasicAuth(users),
                        on_error=ask_for_password,
                    ),
                ],
            },
        )  # fmt: skip
        yield Running(address=address, public_address=public_address, service=service)
    except OSError as error:
        if "port" in str(error):
            raise InputError(
                f"--port: {options.port} at {options.host} cannot be used: another program may; "
                "choose another"
            ) from error
        raise
    finally:
        if page is not None:
            page.close(verbose=False)
        service.live.close()
        store.close()


def free_port(host: str) -> int:
    """A port that nobody listens at right now."""
    import socket

    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])
