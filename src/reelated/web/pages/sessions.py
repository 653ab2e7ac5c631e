"""Sessions: signed cookies that expire, and CSRF tokens."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from reelated.store import Store
from reelated.web.security import is_equal, netloc

VISITOR, OPERATOR = "reelated_visitor", "reelated_operator"
LIFETIMES = {VISITOR: 180 * 86400, OPERATOR: 12 * 3600}
"""Lifetime of each cookie in seconds."""


class Session(NamedTuple):
    """The session of a request."""

    visitor_id: str  # random; stored once the visitor rates something
    is_operator: bool  # may see users
    is_signed_in: bool  # with the key; without a key, every visitor is an operator
    token: str  # CSRF token, masked
    is_new: bool  # the browser has no cookie yet


class Sessions:
    """Reads and writes the cookies; all workers sign with the secret in the store."""

    def __init__(self, store: Store, api_key: str | None) -> None:
        self.store = store
        self.api_key = api_key
        self._secret = ""

    @property
    def secret(self) -> str:
        """The signing secret, read from the store once."""
        if not self._secret:
            self._secret = self.store.secret()
        return self._secret

    def of(self, request: Request, *, is_ended: Callable[[str], bool] | None = None) -> Session:
        """Return the session of a request; a forged or expired cookie is ignored."""
        known = self._read(request, VISITOR)
        visitor_id = known or secrets.token_urlsafe(24)
        signed_in = self._operator_session(request, is_ended or self.store.is_session_ended) is not None
        is_operator = self.api_key is None or signed_in
        return Session(visitor_id, is_operator, signed_in, mask(self._hmac(f"token {visitor_id}")), known is None)

    def for_menu(self, request: Request) -> Session | None:
        """Return the session for the menu of an error page, without access to the store, or None."""
        return self.of(request, is_ended=lambda _: False) if self._secret else None

    def is_key(self, text: str) -> bool:
        """Return whether a text is the API key, in constant time."""
        return bool(self.api_key) and is_equal(text, self.api_key or "")

    def renew(self, request: Request, response: Response, session: Session) -> None:
        """Set the visitor cookie with a new expiry."""
        self._write(request, response, VISITOR, session.visitor_id)

    def sign_in(self, request: Request, response: Response) -> None:
        """Set the operator cookie; a change of the API key invalidates it."""
        self._write(request, response, OPERATOR, f"{self._hmac(self.api_key or '')} {secrets.token_urlsafe(18)}")

    def sign_out(self, request: Request, response: Response) -> None:
        """End the operator session in the store, because the browser may not be the only one with the cookie."""
        if session_id := self._operator_session(request, self.store.is_session_ended):
            self.store.end_session(session_id, int(time.time()) + LIFETIMES[OPERATOR])
        self.delete(response, OPERATOR)

    def delete(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", httponly=True, samesite="lax")

    def _operator_session(self, request: Request, is_ended: Callable[[str], bool]) -> str | None:
        """Return the id of the operator session of a request, or None."""
        value = None if self.api_key is None else self._read(request, OPERATOR)
        key, _, session_id = (value or "").partition(" ")
        if not session_id or key != self._hmac(self.api_key or "") or is_ended(session_id):
            return None
        return session_id

    def _hmac(self, text: str) -> str:
        """Return an HMAC of a text with the secret."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:40]

    def _signer(self, name: str) -> Any:
        signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeTimedSerializer(self.secret, salt=name, signer_kwargs=signing)

    def _read(self, request: Request, name: str) -> str | None:
        try:
            value = self._signer(name).loads(request.cookies.get(name, ""), max_age=LIFETIMES[name])
        except BadSignature:
            return None
        return value if isinstance(value, str) else None

    def _write(self, request: Request, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name,
            self._signer(name).dumps(value),
            max_age=LIFETIMES[name],
            path="/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="lax",
        )


def is_same_site(request: Request, session: Session, token: str) -> bool:
    """Return whether a form comes from this site: its Origin and its CSRF token match (CSRF protection)."""
    # Some browsers send no Origin with a form; then only the token is checked.
    origin = request.headers.get("origin")
    if origin is not None and netloc(origin) != request.headers.get("host"):
        return False
    return is_equal(unmask(token), unmask(session.token))


def mask(token: str) -> str:
    """Mask a hexadecimal token with random digits: a token that repeats in compressed pages could be guessed."""
    pad = secrets.token_hex(len(token) // 2)
    return pad + f"{int(pad, 16) ^ int(token, 16):0{len(token)}x}"


def unmask(masked: str) -> str:
    """Return the token that `mask` has hidden; empty for anything else."""
    try:
        half = len(masked) // 2
        return f"{int(masked[:half], 16) ^ int(masked[half:], 16):0{half}x}"
    except ValueError:
        return ""
