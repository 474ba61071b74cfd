"""Libax Automate: models decide, the queue delivers.

``import libax_automate as ax`` gives a plugin author everything but the HTTP client and the sandbox, which cost
start-up time: ``from libax_automate.http import ApiClient``, ``from libax_automate.template import Sandbox``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libax_automate.connector import Actor as Actor
    from libax_automate.connector import Capability as Capability
    from libax_automate.connector import Connector as Connector
    from libax_automate.connector import Place as Place
    from libax_automate.connector import Reference as Reference
    from libax_automate.connector import Referencer as Referencer
    from libax_automate.connector import Sender as Sender
    from libax_automate.connector import Source as Source
    from libax_automate.connector import Template as Template
    from libax_automate.errors import AccountError as AccountError
    from libax_automate.errors import AutomateError as AutomateError
    from libax_automate.errors import ConnectorError as ConnectorError
    from libax_automate.errors import ContentError as ContentError
    from libax_automate.errors import InputDataError as InputDataError
    from libax_automate.errors import InvalidMessage as InvalidMessage
    from libax_automate.errors import OutcomeUnknown as OutcomeUnknown
    from libax_automate.errors import RateLimited as RateLimited
    from libax_automate.errors import RecipientError as RecipientError
    from libax_automate.errors import SetupError as SetupError
    from libax_automate.errors import Transient as Transient
    from libax_automate.hookspecs import hookimpl as hookimpl
    from libax_automate.message import Action as Action
    from libax_automate.message import Attachment as Attachment
    from libax_automate.message import Call as Call
    from libax_automate.message import Channel as Channel
    from libax_automate.message import Email as Email
    from libax_automate.message import Message as Message
    from libax_automate.message import Receipt as Receipt
    from libax_automate.message import Status as Status
    from libax_automate.message import Text as Text
    from libax_automate.model import Candidate as Candidate
    from libax_automate.model import Document as Document
    from libax_automate.model import Effect as Effect
    from libax_automate.model import Late as Late
    from libax_automate.model import Member as Member
    from libax_automate.model import MessageClass as MessageClass
    from libax_automate.model import Model as Model
    from libax_automate.model import Payable as Payable
    from libax_automate.model import Roll as Roll
    from libax_automate.model import Run as Run
    from libax_automate.model import Sent as Sent
    from libax_automate.model import SentState as SentState
    from libax_automate.model import Stationery as Stationery
    from libax_automate.model import Step as Step
    from libax_automate.model import covering as covering
    from libax_automate.options import Options as Options
    from libax_automate.options import Secret as Secret
    from libax_automate.options import Strings as Strings
    from libax_automate.record import Anniversary as Anniversary
    from libax_automate.record import BadRow as BadRow
    from libax_automate.record import Field as Field
    from libax_automate.record import Money as Money
    from libax_automate.record import Query as Query
    from libax_automate.record import Record as Record
    from libax_automate.record import Since as Since
    from libax_automate.record import Span as Span

__version__ = "0.1.0"

_HOME = {
    "connector": ("Actor", "Capability", "Connector", "Place", "Reference", "Referencer", "Sender", "Source", "Template"),
    "errors": (
        "AccountError",
        "AutomateError",
        "ConnectorError",
        "ContentError",
        "InputDataError",
        "InvalidMessage",
        "OutcomeUnknown",
        "RateLimited",
        "RecipientError",
        "SetupError",
        "Transient",
    ),
    "hookspecs": ("hookimpl",),
    "message": ("Action", "Attachment", "Call", "Channel", "Email", "Message", "Receipt", "Status", "Text"),
    "model": (
        "Candidate",
        "Document",
        "Effect",
        "Late",
        "Member",
        "MessageClass",
        "Model",
        "Payable",
        "Roll",
        "Run",
        "Sent",
        "SentState",
        "Stationery",
        "Step",
        "covering",
    ),
    "options": ("Options", "Secret", "Strings"),
    "record": ("Anniversary", "BadRow", "Field", "Money", "Query", "Record", "Since", "Span"),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted([*_WHERE, "__version__"])  # noqa: PLE0605 - computed, and held to the files by a test


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``automate --help`` needs none of them (PEP 562)."""
    try:
        module = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    # connectors write ax.Receipt(...) once per message: the next look finds it without coming here
    globals()[name] = value
    return value
