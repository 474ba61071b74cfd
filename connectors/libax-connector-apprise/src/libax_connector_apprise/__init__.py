"""Sends through the hundred-odd services that Apprise speaks, by its URLs."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote

from pydantic import Field, field_validator, model_validator

import libax_automate as ax

__all__ = ["Apprise", "AppriseOptions", "automate_connectors"]

_CHANNELS = {"email": ax.Capability.EMAIL, "sms": ax.Capability.SMS, "whatsapp": ax.Capability.WHATSAPP}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.", re.IGNORECASE | re.DOTALL)
#: what stands between the parts of a URL; each part may be a token
_PARTS = re.compile(r"[/:@?&=]+")
#: shorter parts turn up in messages by chance
_TELLING = 8


class AppriseOptions(ax.Options):
    """What a profile says about an app of this connector."""

    url: ax.Secret = Field(description="Apprise URL with {to} where the recipient goes: twilio://SID:TOKEN@+15550100/{to}")
    channel: Literal["email", "sms", "whatsapp"] = Field("sms", description="what it is used for: which addresses and wordings it gets")
    fixed: bool = Field(default=False, description="the URL names its recipient itself, such as a team's room: everything goes there")

    @field_validator("url")
    @classmethod
    def _is_one(cls, url: ax.Secret) -> ax.Secret:
        text = url.get_secret_value()
        if not _URL.match(text):
            raise ValueError("is no Apprise URL: write service://…")
        if re.search(r"[?&]retry=", text):
            raise ValueError("a URL with retry= sends again by itself: leave that to the queue")
        return url

    @model_validator(mode="after")
    def _goes_somewhere(self) -> AppriseOptions:
        if ("{to}" in self.url.get_secret_value()) == self.fixed:
            raise ValueError(
                "url holds no {to} for the recipient (or write fixed = true)" if not self.fixed else "fixed = true, but url holds {to}"
            )
        return self


class Apprise(ax.Sender[AppriseOptions, ax.Message]):
    """Apprise says yes or no, and not why: no means that it may have been accepted, so it is in doubt and never sent again by itself."""

    name = "apprise"
    title = "Apprise: the hundred-odd services that it speaks (Telegram, Signal, Matrix, ntfy …)"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset(_CHANNELS.values())
    credentials = (
        "Each service has its own URL, which holds its keys: <https://github.com/caronc/apprise/wiki>. Write `{to}` where the recipient goes,"
        ' and keep the URL outside the profile: `url = { env = "APPRISE_URL" }`.'
    )
    limits = "As the service has them; rate sets the pace."
    verified = "against a server of its own, by Apprise's json:// service; the services behind it are Apprise's affair"
    unverified: ClassVar[tuple[str, ...]] = (
        "why a send failed: Apprise does not say, so a wrong key, a wrong recipient and a lost reply are all in doubt",
        "whether a long text goes out in one message: that is up to each service's part of Apprise",
    )
    default_concurrency = 2

    def offers(self) -> frozenset[ax.Capability]:
        """The channel that the profile names."""
        return frozenset({_CHANNELS[self.options.channel]})

    def secrets(self) -> Sequence[str]:
        """The parts of the URL: any of them may be a token."""
        parts = _PARTS.split(self.options.url.get_secret_value().partition("://")[2].replace("{to}", "/"))
        return sorted({form for part in parts for form in (part, unquote(part)) if len(part) >= _TELLING})

    def open(self) -> None:
        """Load Apprise, and keep it from logging: its lines hold the URL, tokens and all."""
        with warnings.catch_warnings():
            # its own affair: modules of the standard library that a later Python leaves out
            warnings.simplefilter("ignore", DeprecationWarning)
            import apprise

            apprise.Apprise.instantiate("json://localhost")  # the first of all loads every service
        for name in ("apprise", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def check(self) -> None:
        """Apprise knows the URL. Whether its keys work, only a message would show."""
        self._service("+15550100")

    def checks_account(self) -> bool:
        """Never: nothing is asked of the service."""
        return False

    def send(self, message: ax.Message) -> ax.Receipt:
        """Hand one message to one service; anything but a yes is in doubt."""
        import apprise

        title, body, form = "", "", apprise.NotifyFormat.TEXT
        if isinstance(message, ax.Email):
            if message.attachments or message.cc or message.bcc:
                raise ax.ContentError("Apprise carries no attachments and no copies here", hint="send it with a connector of that service")
            title, body = message.subject, message.text
            if message.html:
                body, form = message.html, apprise.NotifyFormat.HTML
        elif isinstance(message, ax.Text):
            body = message.text
        if not body:
            raise ax.ContentError("there is no text to send", hint="Apprise knows no templates of services: write text = …")
        if isinstance(message, ax.Email | ax.Text) and message.template:
            raise ax.SetupError("Apprise knows no templates of services", hint="write text = … instead of template = …")
        service = self._service(message.to)
        try:
            done = service.notify(body=body, title=title, body_format=form, notify_type=apprise.NotifyType.INFO)
        except Exception as error:
            raise ax.OutcomeUnknown(f"{service.service_name}: {type(error).__name__} in Apprise; it may have been accepted") from None
        if done is not True:
            raise ax.OutcomeUnknown(
                f"{service.service_name} did not say that it took the message, and Apprise does not say why",
                hint="look at the service: automate errors sent if it has it, automate errors retry if it has not",
            )
        return ax.Receipt()

    def _service(self, to: str) -> Any:
        """The service for one recipient; raises SetupError where Apprise cannot read the URL."""
        import apprise

        url = self.options.url.get_secret_value().replace("{to}", quote(to, safe=""))
        # a redirect would carry message and keys to another place
        asset = apprise.AppriseAsset(http_redirects=False)
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if not isinstance(service, apprise.NotifyBase):
            kind = url.partition("://")[0]
            raise ax.SetupError(
                f"Apprise cannot read this {kind}:// URL", hint="see https://github.com/caronc/apprise/wiki for how it is written"
            )
        return service


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Apprise]
