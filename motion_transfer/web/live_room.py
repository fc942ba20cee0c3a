"""One live session at a time, in a process of its own."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from motion_transfer.web.limits import Refused, wrong_setting
from motion_transfer.web.workers import Worker

IDLE_SECONDS = 10.0  # without a picture, after which another session may begin
OPEN_SECONDS = 120.0
STEP_SECONDS = 20.0


class LiveRoom:
    """The session that there is, if any.

    Args:
        engine: device, generator and weights, see `Service`.
    """

    def __init__(self, engine: Mapping[str, str | None]) -> None:
        self._engine = dict(engine)
        self._worker = Worker("live")
        self._lock = threading.Lock()
        self._session = ""
        self._last = 0.0

    def start(self, photo: Path, background: str) -> str:
        """Begin a session.

        Args:
            photo: that was looked at before.
            background: a word or a colour.

        Returns:
            The session's key.

        Raises:
            Refused: 503, somebody else has one; 422, the background cannot be used.
            InputError: nobody is in the photo.
        """
        if "/" in background or "\\" in background or "." in background:
            raise wrong_setting("background: a path is not accepted")
        is_free = not self._session or time.monotonic() - self._last > IDLE_SECONDS
        if not is_free or not self._lock.acquire(blocking=False):
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "somebody else is live; try again in a minute"
            )
        try:
            self._session = secrets.token_urlsafe(16)
            self._run("live_open", OPEN_SECONDS, photo=str(photo), background=background,
                      engine=self._engine)  # fmt: skip
        except BaseException:
            self._session = ""
            raise
        finally:
            self._last = time.monotonic()
            self._lock.release()
        return self._session

    def step(self, session: str, picture: bytes, seconds: float) -> dict[str, Any]:
        """Move the person; see `tasks.live_step`.

        Raises:
            Refused: 404, the session is over; 429, the picture before is not done.
        """
        if not self._session or not secrets.compare_digest(session, self._session):
            raise Refused(HTTPStatus.NOT_FOUND, "this live session is over; start again")
        if not self._lock.acquire(blocking=False):
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "one picture after the other")
        try:
            return self._run("live_step", STEP_SECONDS, picture=picture, seconds=seconds)
        finally:
            self._last = time.monotonic()
            self._lock.release()

    def stop(self, session: str) -> None:
        """End a session; its process goes."""
        if self._session and secrets.compare_digest(session, self._session):
            with self._lock:
                self._session = ""
                self._worker.kill()

    def close(self) -> None:
        """End whatever there is."""
        self.stop(self._session)

    def _run(self, kind: str, max_seconds: float, **arguments: Any) -> dict[str, Any]:
        return self._worker.run(
            kind, Path(), arguments, report=lambda *_: None, max_seconds=max_seconds
        )
