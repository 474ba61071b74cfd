"""Access by OAuth: a token that lasts a day, got when it is needed and got anew before it runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

import libax_automate as ax
from libax_automate.clock import SystemClock
from libax_automate.http import ApiClient
from libax_connector_rd_station.verdict import refusal

#: how long before its end a token is replaced, in seconds
_MARGIN = 300.0
#: how long a token lasts where RD does not say
_DAY = 86400.0


class Access:
    """Clients with a token that works. Serves many threads."""

    def __init__(self, base_url: str, client_id: str, secret: ax.Secret, refresh: ax.Secret, allow_private: Iterable[str]) -> None:
        self._base_url = base_url
        self._allow_private = tuple(allow_private)
        self._body = {
            "client_id": client_id,
            "client_secret": secret.get_secret_value(),
            "refresh_token": refresh.get_secret_value(),
        }
        self._entrance = ApiClient(base_url, secrets=[secret, refresh], allow_private=self._allow_private)
        self._clients: list[ApiClient] = []
        self._until = 0.0
        self._lock = threading.Lock()
        self._now = SystemClock().monotonic

    def client(self) -> ApiClient:
        """A client with a token; raises AccountError where RD refuses to give one."""
        with self._lock:
            if not self._clients or self._now() >= self._until:
                token, seconds = self._token()
                # its own client, so that no message of it ever shows the token
                self._clients.append(
                    ApiClient(
                        self._base_url,
                        headers={"Authorization": f"Bearer {token}"},
                        secrets=[token, *(self._body[name] for name in ("client_secret", "refresh_token"))],
                        allow_private=self._allow_private,
                    )
                )
                self._until = self._now() + seconds - _MARGIN
            return self._clients[-1]

    def forget(self) -> None:
        """The token no longer works, whatever was said."""
        with self._lock:
            self._until = 0.0

    def close(self) -> None:
        """Let go of all connections; calls still under way end."""
        for client in (self._entrance, *self._clients):
            client.close()

    def _token(self) -> tuple[str, float]:
        # asking twice gives two tokens, and harms nothing
        reply = self._entrance.post("/auth/token", json=self._body, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            error = refusal(self._entrance, reply, safe=True)
            if reply.status in {400, 401, 403, 422}:
                error = error.recast(
                    ax.AccountError, hint="let the account's owner agree again: client_id, client_secret or refresh_token fails"
                )
            raise error
        try:
            body = reply.json()
        except ValueError:
            body = None
        token = body.get("access_token") if isinstance(body, Mapping) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise ax.Transient("RD Station answered no access token", hint="is base_url its API?")
        seconds = body.get("expires_in") if isinstance(body, Mapping) else None
        return token, float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else _DAY
