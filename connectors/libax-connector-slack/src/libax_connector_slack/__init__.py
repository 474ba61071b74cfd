"""Slack: posts a message to one or several channels through their incoming webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.errors import ConnectorError
from libax_automate.http import ApiClient

#: Slack reads these as the beginning of a mention or a link: a customer's name must not ring for a whole channel
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackOptions(ax.Options):
    """What a profile says about an app of this connector."""

    webhooks: ax.Secret = Field(description="the incoming webhook's URL; several, for several channels, separated by commas")
    base_url: str | None = Field(None, description="another server in place of hooks.slack.com, such as a test server; the paths stay")
    channel: str | None = Field(None, description="another channel than the webhook's own; only webhooks of the old kind heed it")

    @field_validator("webhooks")
    @classmethod
    def _are_urls(cls, value: ax.Secret) -> ax.Secret:
        found = _urls(value)
        if not found or any(urlsplit(url).scheme not in {"http", "https"} or len(urlsplit(url).path) < 2 for url in found):
            raise ValueError("are not webhook URLs: https://hooks.slack.com/services/…, several separated by commas")
        if len(set(found)) < len(found):
            raise ValueError("name one webhook twice: its channel would get every message twice")
        return value


class Slack(ax.Actor[SlackOptions]):
    """One post per webhook. Where some channels have a message and another refused it, the message is in doubt: a person decides."""

    name = "slack"
    title = "Slack"
    capabilities = frozenset({ax.Capability.ACTIONS})
    credentials = (
        "In Slack: **Apps → Incoming Webhooks → Add to Slack**, choose the channel, copy the URL. One URL per channel; several go into one"
        " variable, separated by commas. Whoever has the URL can post: keep it outside the profile.\n\n"
        "```toml\n"
        "[apps.slack]\n"
        'connector = "slack"\n'
        'webhooks  = { env = "SLACK_WEBHOOKS" }\n'
        "```\n"
    )
    limits = "About one message a second per webhook; 429 says how long to wait."
    unverified = (
        "Nothing here has been run against a real workspace.",
        "429 and its Retry-After for incoming webhooks are general knowledge, as is one message a second.",
        "Whether a webhook heeds channel: those made by an app do not.",
    )
    default_rate = "1/s"
    default_concurrency = 1
    actions: ClassVar[Mapping[str, str]] = {
        "message": "Posts to every channel, or to the one of the webhooks whose number (1, 2 …) it is addressed to. text, channel (old webhooks only)"
    }

    _clients: tuple[ApiClient, ...] = ()

    def open(self) -> None:
        """Prepare a client per webhook; nothing leaves yet."""
        self._clients = tuple(
            ApiClient(ax.Secret(self._address(url)), secrets=self.secrets(), allow_private=self.place.allow_private)
            for url in _urls(self.options.webhooks)
        )

    def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients:
            client.close()

    def secrets(self) -> Sequence[str]:
        """Every URL, its path, and the path's last part, which is the secret proper."""
        paths = [urlsplit(url).path for url in _urls(self.options.webhooks)]
        parts = [path.rstrip("/").rpartition("/")[2] for path in paths]
        return [text for text in (*_urls(self.options.webhooks), *paths, *parts) if len(text) >= 8]

    def check(self) -> None:
        """See that every webhook's server has an address that requests may go to: nothing but a post would tell more."""
        for client in self._clients:
            client.resolve()

    def checks_account(self) -> bool:
        """Only a post tells whether a webhook works."""
        return False

    def act(self, action: ax.Action) -> ax.Receipt:
        """Post to every channel that the action is for."""
        if action.kind not in self.actions:
            raise ax.SetupError(f"slack has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        text = str(action.fields.get("text") or "")
        if not text.strip():
            raise ax.ContentError("action message lacks text", hint="give it text")
        body = {"text": text.translate(_ESCAPES)}
        if channel := action.fields.get("channel") or self.options.channel:
            body["channel"] = str(channel)
        chosen = self._chosen(action.to)
        for number, client in enumerate(chosen):
            try:
                client.post(json=body)
            except ConnectorError as error:
                if number == 0:
                    raise  # nobody has it
                raise ax.OutcomeUnknown(
                    f"{number} of {len(chosen)} channels have the message; number {number + 1}: {error.message}",
                    hint="mend that webhook; then automate errors sent, for a retry would post to the first ones again",
                ) from None
        return ax.Receipt(detail=f"{len(chosen)} channels" if len(chosen) > 1 else "")

    def _chosen(self, to: str) -> tuple[ApiClient, ...]:
        if not to.isdecimal():
            return self._clients
        if not 1 <= int(to) <= len(self._clients):
            raise ax.RecipientError(f"there is no webhook number {to}, but {len(self._clients)}")
        return (self._clients[int(to) - 1],)

    def _address(self, url: str) -> str:
        base = self.options.base_url
        return url if base is None else base.rstrip("/") + urlsplit(url).path


def _urls(value: ax.Secret) -> list[str]:
    return [part.strip() for part in value.get_secret_value().split(",") if part.strip()]


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Slack]
