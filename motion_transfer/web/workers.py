"""Processes that do the work, so that the server outlives whatever an upload makes of them.

A worker is started when it is first needed, keeps its networks loaded from task to task, and can
be killed at any moment: that is how a job is cancelled at once, and why files of strangers are
opened here only.
"""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motion_transfer.errors import InputError
from motion_transfer.web.limits import Refused
from motion_transfer.web.tasks import TASKS

if TYPE_CHECKING:
    from motion_transfer.driver import Progress

POLL_SECONDS = 0.1
PROGRESS_SECONDS = 0.1  # at most so often is progress told
TASKS_PER_PROCESS = 100  # then a fresh one: whatever leaks in a codec goes with it


class WorkerDied(InputError):
    """The process ended in the middle of a task; the server goes on."""


class Stopped(InputError):
    """A task was stopped on demand; its process is gone."""


class Worker:
    """One process, one task at a time.

    Args:
        name: of the process.
        preload: modules that it imports before its first task.
    """

    def __init__(self, name: str, preload: tuple[str, ...] = ()) -> None:
        self._name = name
        self._preload = preload
        self._process: Any = None
        self._connection: Connection | None = None
        self._num_tasks = 0

    def run(
        self,
        kind: str,
        folder: Path,
        arguments: dict[str, Any],
        *,
        report: Progress,
        is_stopped: Callable[[], bool] = lambda: False,
        max_seconds: float = 3600.0,
    ) -> dict[str, Any]:
        """Do a task and wait for it.

        Args:
            kind: one of `tasks.TASKS`.
            folder: where the task reads and writes.
            arguments: of the task, plain data.
            report: called with stage, done, total.
            is_stopped: asked often; the process is killed when it says yes.
            max_seconds: after which the process is killed.

        Returns:
            The task's answer, plain data.

        Raises:
            InputError: the task says what is wrong.
            Stopped: `is_stopped` said so.
            WorkerDied: the process died or took too long.
        """
        connection = self.start()
        self._num_tasks += 1
        deadline = time.monotonic() + max_seconds
        try:
            connection.send((kind, str(folder), arguments))
            while True:
                if is_stopped():
                    self.kill()
                    raise Stopped("cancelled")
                if time.monotonic() > deadline:
                    self.kill()
                    raise WorkerDied(
                        f"took longer than {max_seconds / 60:g} minutes and was ended; "
                        "use a shorter range or the fast preset"
                    )
                if not wait([connection], timeout=POLL_SECONDS):
                    continue
                what, *content = connection.recv()
                if what == "progress":
                    report(*content)
                elif what == "refused":
                    raise Refused(*content)
                elif what == "wrong":
                    raise InputError(*content)
                else:
                    return content[0]
        except (EOFError, ConnectionError) as error:
            raise WorkerDied(self._last_words()) from error

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def start(self) -> Connection:
        """Have a process that is ready, or will be soon; returns the line to it."""
        if self._num_tasks >= TASKS_PER_PROCESS or (self._process and not self._process.is_alive()):
            self.kill()
        if self._process is None or self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve,
                args=(theirs, self._preload),
                name=self._name,
                daemon=True,
            )
            self._process.start()
            theirs.close()
            self._num_tasks = 0
        return self._connection

    def _last_words(self) -> str:
        self._process.join(timeout=5)
        code = self._process.exitcode
        self.kill()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return (
                f"the renderer was ended by the system ({name}), maybe for want of memory; "
                "use a shorter range or a smaller photo"
            )
        return f"the renderer stopped unexpectedly (status {code}); the server's log says why"


def _serve(connection: Connection, preload: tuple[str, ...]) -> None:
    """What runs in the process: tasks until the server is gone.

    An error that is not the user's ends the process with its traceback in the server's log.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's
    for module in preload:
        importlib.import_module(module)
    while True:
        try:
            kind, folder, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = TASKS[kind](Path(folder), _Teller(connection), **arguments)
        except Refused as error:
            connection.send(("refused", error.status, str(error)))
        except (InputError, OSError) as error:
            connection.send(("wrong", str(error)))
        else:
            connection.send(("answer", answer))


class _Teller:
    """Sends progress to the server, seldom enough not to be a load."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stage, self._told = "", 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._told >= PROGRESS_SECONDS or done == total:
            self._stage, self._told = stage, now
            self._connection.send(("progress", stage, done, total))
