"""Who a visit comes from: signed cookies that expire, and a token that no other site can know."""

import hashlib
import hmac
import secrets
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from reelated.store import Store

VISITOR, OPERATOR = "reelated_visitor", "reelated_operator"
LASTS = {VISITOR: 180 * 86400, OPERATOR: 12 * 3600}
"""Seconds until a cookie is worth nothing."""


class Session(NamedTuple):
    """Whose visit it is.

    Attributes
    ----------
    visitor_id : str
        Drawn at random; the store knows it once something is rated.
    is_operator : bool
        Whether users may be seen.
    is_signed_in : bool
        Whether that is because the key was shown.
    token : str
        What a form must send along.
    is_new : bool
        Whether the browser has yet to be told.
    """

    visitor_id: str
    is_operator: bool
    is_signed_in: bool
    token: str
    is_new: bool


class Sessions:
    """Reads and writes the cookies; every worker signs with the secret that the store keeps."""

    def __init__(self, store: Store, api_key: str | None) -> None:
        self.store = store
        self.api_key = api_key
        self._secret = ""

    @property
    def secret(self) -> str:
        """What is signed with."""
        if not self._secret:
            self._secret = self.store.secret()
        return self._secret

    def of(self, request: Request) -> Session:
        """Return whose visit a request is; a cookie that is forged or too old is none."""
        known = self._read(request, VISITOR)
        visitor_id = known or secrets.token_urlsafe(24)
        signed_in = self.api_key is not None and self._read(request, OPERATOR) == self._mark(self.api_key)
        is_operator = self.api_key is None or signed_in
        return Session(visitor_id, is_operator, signed_in, self._mark(f"token {visitor_id}"), known is None)

    def is_key(self, shown: str) -> bool:
        """Say whether this is the key of the service, in a time that tells nothing of it."""
        key = self.api_key or ""
        return bool(key) and hmac.compare_digest(shown.encode(errors="replace"), key.encode())

    def renew(self, request: Request, response: Response, session: Session) -> None:
        """Give the browser the visitor's cookie for as long again."""
        self._write(request, response, VISITOR, session.visitor_id)

    def sign_in(self, request: Request, response: Response) -> None:
        """Give the browser the operator's cookie, which is worth nothing once the key is another."""
        self._write(request, response, OPERATOR, self._mark(self.api_key or ""))

    def sign_out(self, response: Response, name: str = OPERATOR) -> None:
        """Take a cookie away."""
        response.delete_cookie(name, path="/", httponly=True, samesite="lax")

    def _mark(self, text: str) -> str:
        """Return what shows that whoever made it knows the secret, and does not show the text."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:40]

    def _signer(self, name: str) -> Any:
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeTimedSerializer(self.secret, salt=name, signer_kwargs=how)

    def _read(self, request: Request, name: str) -> str | None:
        try:
            told = self._signer(name).loads(request.cookies.get(name, ""), max_age=LASTS[name])
        except BadSignature:
            return None
        return told if isinstance(told, str) else None

    def _write(self, request: Request, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name,
            self._signer(name).dumps(value),
            max_age=LASTS[name],
            path="/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="lax",
        )


def is_from_here(request: Request, session: Session, token: str) -> bool:
    """Say whether a form was sent by a page of ours: by its token, and by where the browser says it comes from."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return False
    return hmac.compare_digest(token.encode(errors="replace"), session.token.encode())
