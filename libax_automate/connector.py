"""What a connector is: a plugin that talks to one kind of system, sends once, and names what happened."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from libax_automate._plugin import OptionsT, Plugin
from libax_automate.errors import ConnectorError, PluginError
from libax_automate.message import Action, Channel, Message, Receipt
from libax_automate.record import BadRow, Query, Record


class Capability(StrEnum):
    """What a connector can do; declared, shown by ``connectors show``, and checked by the contract kit."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    WEBHOOK = "webhook"
    SOURCE = "source"
    ACTIONS = "actions"
    TEMPLATES = "templates"
    BATCH = "batch"
    #: the provider refuses a second execution of the same key
    IDEMPOTENCY_KEY = "idempotency_key"
    #: the provider can be asked whether it got a message, by our reference
    LOOKUP = "lookup"
    BALANCE = "balance"
    REFERENCES = "references"
    #: e-mails carry files
    ATTACHMENTS = "attachments"


#: the channels among the capabilities
CHANNELS: Mapping[Capability, Channel] = {
    Capability.EMAIL: Channel.EMAIL,
    Capability.SMS: Channel.SMS,
    Capability.WHATSAPP: Channel.WHATSAPP,
    Capability.WEBHOOK: Channel.WEBHOOK,
    Capability.ACTIONS: Channel.ACTION,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connector works: what it may know of its profile besides its own options."""

    #: the app's name in the profile
    app: str = "app"
    profile: str = "profile"
    #: the profile file's folder; relative paths in options start here
    folder: Path = field(default_factory=Path)
    #: IANA zone name of the profile, for date-times without a zone
    timezone: str = "UTC"
    #: such as ``pt_PT``
    locale: str = "en_US"
    #: ISO 3166 code for national telephone numbers
    country: str = ""
    #: address ranges beyond the public ones that requests may go to (``allow_private``)
    allow_private: tuple[str, ...] = ()
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("libax_automate.connector"))


@dataclass(frozen=True, slots=True)
class Template:
    """A template kept at the provider (LX-74, IB-06). ``variables`` are its placeholders in order; None where the provider does not tell."""

    id: str
    name: str
    active: bool
    channel: Channel = Channel.EMAIL
    text: str = ""
    language: str = ""
    variables: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A payment reference (Multibanco …) made for ``our_id``: idempotent, the same id gives the same reference."""

    our_id: str
    entity: str
    reference: str
    amount: Decimal
    currency: str = "EUR"
    due: date | None = None
    provider_id: str | None = None


class Connector(Plugin[OptionsT], ABC):
    """Base of all connectors. ``open`` is called once before use and ``close`` once after; one instance serves many threads.

    Class attributes are the connector's defaults for what every app may set in a profile.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    #: how to get the credentials, in Markdown (LX-11)
    credentials: ClassVar[str] = ""
    #: what the vendor documents about pace, for people
    limits: ClassVar[str] = ""
    #: facts that nobody could verify; shown by ``connectors show``
    unverified: ClassVar[tuple[str, ...]] = ()
    #: what its requests and replies were held against, in a few words; "" = nothing but its author's reading
    verified: ClassVar[str] = ""
    #: ``"10/s"``, ``"100/min"``; None = no pace
    default_rate: ClassVar[str | None] = None
    default_concurrency: ClassVar[int] = 4
    #: None = 4 × concurrency
    default_window: ClassVar[int | None] = None
    #: how long the provider remembers an idempotency key; None = it has none
    idempotency_ttl: ClassVar[timedelta | None] = None
    #: the channels whose messages carry that key; None = all
    key_channels: ClassVar[frozenset[Channel] | None] = None
    #: True where the vendor documents that 500/502/504 mean "not processed"
    server_errors_not_processed: ClassVar[bool] = False
    #: seconds before each retry of a transient failure; None = the engine's own
    retry_schedule: ClassVar[tuple[float, ...] | None] = None

    def __init__(self, options: OptionsT, place: Place | None = None) -> None:
        super().__init__(options)
        self.place = place or Place()

    def open(self) -> None:
        """Prepare (a client, a connection pool). Nothing leaves yet."""

    def close(self) -> None:
        """Let go of everything; safe twice."""

    def check(self) -> None:
        """Prove that the credentials work, without side effects; raises the class that a send would raise."""

    def checks_account(self) -> bool:
        """Whether passing :meth:`check` proves that the account works, so that it may clear an account error."""
        return type(self).check is not Connector.check

    def offers(self) -> frozenset[Capability]:
        """The capabilities of this configured instance; where options decide, override it."""
        return self.capabilities

    def key_ttl(self) -> timedelta | None:
        """How long this configured instance's provider remembers an idempotency key; None = not at all."""
        return self.idempotency_ttl

    def secrets(self) -> Sequence[str]:
        """Secret values that are not ``Secret`` options themselves (a token inside a URL): the engine redacts them too."""
        return ()


MessageT = TypeVar("MessageT", bound=Message, contravariant=True)


class Sender(Connector[OptionsT], Generic[OptionsT, MessageT]):
    """A connector that hands messages to a provider."""

    #: how many messages ``send_batch`` takes at most; 1 = there is no batch endpoint
    batch_size: ClassVar[int] = 1
    #: the channels that ``send_batch`` takes; None = all. Messages of the others, and actions, are sent one by one
    batch_channels: ClassVar[frozenset[Channel] | None] = None

    @abstractmethod
    def send(self, message: MessageT) -> Receipt:
        """Hand over one message with one provider call; returns its acceptance or raises a ConnectorError.

        Called from several threads at once (the app's ``concurrency``).
        """

    def batch_group(self, message: MessageT) -> Hashable:
        """What messages must share to go in one batch (a template, a sender …): only those with equal answers are handed over together."""
        return None

    def send_batch(self, messages: Sequence[MessageT]) -> Sequence[Receipt | ConnectorError]:
        """Hand over many messages with one call; answers one outcome per message, in order.

        Raising means that the outcome is the same for all of them. A ContentError or RecipientError so raised says that nothing was
        sent, for the sake of one that is not named: the engine then looks for it, half by half.
        """
        raise PluginError(f"{self.name} declares batch_size {self.batch_size} but has no send_batch")

    def lookup(self, message: MessageT) -> Receipt | None:
        """Ask the provider whether it has ``message`` (capability LOOKUP): its receipt, or None if it surely has not."""
        raise PluginError(f"{self.name} declares no look-up")

    def templates(self, channel: Channel | None = None) -> Iterator[Template]:
        """The provider's templates (capability TEMPLATES), inactive ones included."""
        raise PluginError(f"{self.name} declares no templates")

    def balance(self) -> Decimal | None:
        """What is left at the provider (capability BALANCE), in its own unit."""
        raise PluginError(f"{self.name} declares no balance")


class Source(Connector[OptionsT]):
    """A connector that answers records in canonical fields."""

    #: reads files of this machine: ``check`` may look at its records without --connect
    local: ClassVar[bool] = False

    @abstractmethod
    def entities(self) -> Sequence[str]:
        """The entities that this configured source has (``contacts``, ``invoices`` …)."""

    @abstractmethod
    def fetch(self, entity: str, query: Query) -> Iterator[Record | BadRow]:
        """Stream the records of ``entity`` that match ``query``; more may come than asked, never fewer.

        Raises InputDataError when the data cannot be read at all, a ConnectorError when the system cannot be asked.
        """

    def fields(self, entity: str) -> frozenset[str] | None:
        """The field names that records of ``entity`` have, canonical and custom; None if that cannot be known in advance."""
        return None

    def changed_since(self, entity: str) -> bool:
        """Whether ``Query.since`` is pushed down for ``entity``."""
        return False


class Actor(Connector[OptionsT]):
    """A connector that does things in another application (capability ACTIONS)."""

    #: action kind -> what it does and which fields it takes, for people; ``activity`` is LX-55's
    actions: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def act(self, action: Action) -> Receipt:
        """Do one action with one call; the same promises as ``Sender.send``."""


class Referencer(Connector[OptionsT]):
    """A connector that makes payment references (capability REFERENCES, LX-28)."""

    @abstractmethod
    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> Reference:
        """Make the reference for ``our_id``, or answer the one already made; the same id never gives two."""

    @abstractmethod
    def find_reference(self, our_id: str) -> Reference | None:
        """The reference made for ``our_id``, if there is one."""


AnyConnector = Connector[Any]
