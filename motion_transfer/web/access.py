"""Who may come in, and how much they may bring."""

from __future__ import annotations

import base64
import binascii
import secrets
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motion_transfer.errors import InputError
from motion_transfer.web.limits import Refused

OPEN_PATHS = ("/health", "/gradio_api/startup-events")  # the second is how Gradio starts itself
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",  # a job's id in an address is its key
}


def read_users(path: Path) -> dict[str, str]:
    """Read `name:password` lines; empty lines and those that begin with # are passed over.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a line is not of that form, or there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--auth-file: no such file: {path}")
    users = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not (colon and name.strip() and password):
            raise InputError(f"--auth-file: line {number} of {path.name} must be name:password")
        users[name.strip()] = password
    if not users:
        raise InputError(f"--auth-file: {path.name} names nobody; add lines name:password")
    return users


class BasicAuth(AuthenticationBackend):
    """HTTP Basic authentication (RFC 7617) for everything but `OPEN_PATHS`.

    Args:
        users: name to password; None lets everybody in.
    """

    def __init__(self, users: dict[str, str] | None) -> None:
        self._users = users

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """The user of a request; an error answers 401."""
        if self._users is None or conn.url.path in OPEN_PATHS:
            return None
        scheme, _, encoded = conn.headers.get("authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise AuthenticationError("malformed credentials") from error
        name, _, password = decoded.partition(":")
        known = self._users.get(name, "")
        same = secrets.compare_digest(password.encode(), known.encode())
        if scheme.lower() != "basic" or not known or not same:
            raise AuthenticationError("name and password are needed")
        return AuthCredentials(["authenticated"]), SimpleUser(name)


def ask_for_password(connection: HTTPConnection, error: Exception) -> Response:
    """What a browser shows its own dialogue for."""
    del connection
    return PlainTextResponse(
        str(error), HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": 'Basic realm="motion-transfer", charset="UTF-8"'},
    )  # fmt: skip


def client_of(connection: HTTPConnection) -> str:
    """Whose turn it is: the user's name, or where there are no names the address."""
    user = connection.scope.get("user")
    if user is not None and user.is_authenticated:
        return f"user {user.display_name}"
    return f"address {connection.client.host if connection.client else 'unknown'}"


def check_origin(request: Request) -> None:
    """Another site's page must not act in the name of its visitor.

    Raises:
        Refused: 403.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(HTTPStatus.FORBIDDEN, "requests from pages of other sites are not accepted")


class Guard:
    """ASGI middleware: bounds every request's body and adds security headers to every answer.

    Args:
        app: what is guarded.
        max_bytes: of a body; more is answered with 413 before it is read.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        num_bytes = 0

        async def bounded_receive() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._max_bytes:  # sent in chunks, without a length
                raise _TooMuch
            return message

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        refusal = PlainTextResponse(
            f"a request may have {self._max_bytes / 1e6:.0f} MB here",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
        if not length.isdigit() or int(length) > self._max_bytes:
            await refusal(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, bounded_receive, guarded_send)
        except _TooMuch:
            await refusal(scope, receive, guarded_send)


class _TooMuch(Exception):
    """A body is larger than allowed."""
