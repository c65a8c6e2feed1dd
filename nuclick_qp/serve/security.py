"""Who may ask the service, and how much: checks on raw ASGI requests, before anything is parsed."""

import hmac
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.datastructures import Headers

LARGEST_BODY = 2**27  # bytes
MOST_AT_ONCE = 32  # requests that hold pixels in memory
TOO_LARGE = f"the body has more than {LARGEST_BODY} bytes; ask for fewer prompts at once, or send PNG"
OPEN_PATHS = frozenset({"/health"})  # need no token
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # a machine that listens at all of them has names that it does not know

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """Refuses strangers (401), foreign web pages (403), bodies that are too large (413) and crowds (429).

    A browser can be made to send requests to this machine by any page (DNS rebinding, forms): such a
    request names a foreign host, or an origin, and programs send neither.

    Parameters
    ----------
    token
        What ``Authorization: Bearer ...`` must say.
    host_names
        What the Host header may say beside the names of this machine for itself; anything, if the
        address of all addresses is among them.
    """

    def __init__(self, app: Application, *, token: str, host_names: Collection[str] = ()) -> None:
        self._app = app
        self._token = token
        self._host_names = LOOPBACK_NAMES | {name.lower() for name in host_names}
        self._has_any_name = not ALL_ADDRESSES.isdisjoint(self._host_names)
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        self._inside += 1
        try:
            body = _CountedBody(receive, send)
            await self._app(scope, body.receive, body.send)
        finally:
            self._inside -= 1

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """Give the status and the reason of a refusal; None when the request may pass."""
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if not self._has_any_name and name.lower().strip("[]") not in self._host_names:
            return 403, "the Host header names another machine"
        if "origin" in headers:
            return 403, "requests from web pages are refused"
        if path not in OPEN_PATHS and not _is_token(headers.get("authorization", ""), self._token):
            return 401, "the token is wrong or missing; read it from the file that the service wrote"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > LARGEST_BODY:
            return 413, TOO_LARGE
        if self._inside >= MOST_AT_ONCE:
            return 429, f"{MOST_AT_ONCE} requests are under way; ask again in a second"
        return None


class _CountedBody:
    """The two channels of a request; a body without a stated length ends at the limit, whatever answers then."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._bytes, self._is_answered = 0, False

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        return message if self._bytes <= LARGEST_BODY else {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self._bytes <= LARGEST_BODY:
            await self._send(message)
        elif not self._is_answered:
            self._is_answered = True
            await _answer(self._send, 413, TOO_LARGE)


def _is_token(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
