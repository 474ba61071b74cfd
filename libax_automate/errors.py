"""The whole error tree; where a thing went wrong decides the class, and the class decides what happens next.

::

    AutomateError
    ├── UsageError            the command line asks for something that makes no sense   exit 2
    ├── NotFound              no such model, app, task, message, error, person          exit 5
    ├── LockHeld              another process runs the same database                    exit 11
    ├── InputDataError        a source's data cannot be read at all                     exit 65
    ├── StoreError            database or disk                                          exit 74
    ├── TemporaryError        try again later                                           exit 75
    ├── ProfileError          profile or configuration; carries every Problem           exit 78
    ├── PluginError           a plugin broke the contract                               exit 70
    ├── TemplateError         a template or expression cannot be compiled or rendered
    │   ├── UnknownField      names a field that no record has
    │   └── EmptyValue        a placeholder has no value for this person
    ├── InvalidMessage        something no service can carry (a line break in a header …)
    └── ConnectorError        what a provider call ended in; the class alone is the policy
        ├── RateLimited       not accepted, slow down    -> the app waits ``retry_after``
        ├── Transient         not accepted, try again    -> retried with back-off, then halts
        ├── AccountError      key, balance, suspension   -> halts every app on the credential
        ├── SetupError        template, sender, option   -> halts the app
        ├── ContentError      this message cannot go     -> halts the app on this message
        ├── RecipientError    this address is refused    -> halts (or skips, by ``on_recipient_error``)
        └── OutcomeUnknown    it may have been accepted  -> in doubt; never resent silently

A connector raises the class and is done: it never retries, never sleeps, never logs a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class AutomateError(Exception):
    """Root of everything this program raises on purpose.

    ``message`` says what and why; ``hint`` says what to do. ``kind`` is the machine-readable name and
    ``exit_code`` what the process ends with when nobody handles it.
    """

    kind: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    #: what to do about errors of this class, where whoever raised it has said nothing better
    usual_hint: ClassVar[str] = "look closer with: automate doctor"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def advice(self) -> str:
        """What to do: the hint, or what is usual for the class; never empty."""
        return self.hint or self.usual_hint

    def __str__(self) -> str:
        return f"{self.message} → {self.hint}" if self.hint else self.message


class UsageError(AutomateError):
    """The command line contradicts itself or lacks something."""

    kind = "usage"
    exit_code = 2
    usual_hint = "see: automate --help"


class NotFound(AutomateError):
    """Something was named that does not exist."""

    kind = "not_found"
    exit_code = 5
    usual_hint = "see what there is with the list command of that noun, such as: automate models list"


class LockHeld(AutomateError):
    """Another process holds the run lock; the message prints its pid and start time."""

    kind = "locked"
    exit_code = 11
    usual_hint = "wait for it, or end that process"


class InputDataError(AutomateError):
    """A source's data cannot be read at all (a single bad row is a ``BadRow``, never this)."""

    kind = "data"
    exit_code = 65
    usual_hint = "correct the data, then: automate run"


class StoreError(AutomateError):
    """The database is missing, damaged, newer than the program, or its disk is full."""

    kind = "store"
    exit_code = 74
    usual_hint = "see: automate db check"


class TemporaryError(AutomateError):
    """It may well work in a moment."""

    kind = "temporary"
    exit_code = 75
    usual_hint = "try again in a minute"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a profile file: ``PATH:LINE:COL: what. why. → do this.``; lines and columns count from 1."""

    path: str
    line: int
    column: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}: {self.what}"
        return f"{place} → {self.hint}" if self.hint else place


class ProfileError(AutomateError):
    """A profile or the configuration around it is wrong; ``problems`` holds every finding, not the first."""

    kind = "profile"
    exit_code = 78
    usual_hint = "see: automate check"

    def __init__(self, message: str, *, hint: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems)) if self.problems else super().__str__()


class PluginError(AutomateError):
    """A plugin is missing, broken, or did not keep its contract."""

    kind = "bug"
    exit_code = 70
    usual_hint = "see: automate plugins list"


class TemplateError(AutomateError):
    """A template or expression cannot be compiled, or runs out of the bounds set for it."""

    kind = "template"
    usual_hint = "correct the text; its fields are listed by: automate models fields"


class UnknownField(TemplateError):
    """A template names a field that no record of its entity has; ``field`` is the name."""

    def __init__(self, field: str, *, hint: str = "") -> None:
        super().__init__(f"unknown field {field!r}", hint=hint)
        self.field = field


class EmptyValue(TemplateError):
    """A placeholder is known but has no value for this person; ``field`` is its source text."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is empty", hint=f"give a fallback: {{{{ {field} or '…' }}}}")
        self.field = field


class InvalidMessage(AutomateError):
    """A message that no service can carry: a line break in a header, no recipient."""

    kind = "content"
    usual_hint = "correct what the text or the address holds, then: automate errors retry"


class ConnectorError(AutomateError):
    """What a provider call ended in, when it did not end well.

    ``retry_after`` is in seconds; ``code`` is the provider's own code, kept for people. Messages must hold
    no secret: connectors write what happened, the engine redacts known secret values once more.
    """

    usual_hint = "see: automate errors show"

    #: the HTTP status behind it, where there was one
    status: int | None = None
    #: the beginning of the provider's reply, redacted
    body: str = ""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.code = code

    def recast(
        self, kind: type[ConnectorError], *, hint: str = "", code: str = "", retry_after: float | None = None, message: str = ""
    ) -> ConnectorError:
        """The same event under the class that names it, for a connector that knows what its vendor means: what is not given stays."""
        wait = self.retry_after if retry_after is None else retry_after
        error = kind(message or self.message, hint=hint or self.hint, code=code or self.code, retry_after=wait)
        error.status, error.body = self.status, self.body
        return error


class RateLimited(ConnectorError):
    """Not accepted; the provider asks for a slower pace (429, SMTP 421/451 4.7.x)."""

    kind = "rate_limited"
    exit_code = 75
    usual_hint = "nothing: it goes on by itself; see: automate queue list"


class Transient(ConnectorError):
    """Provably not accepted, and worth another try (connect refused, 503, SMTP 4xx)."""

    kind = "transient"
    exit_code = 75
    usual_hint = "nothing: it is tried again by itself, and halts if that does not help; see: automate queue list"


class AccountError(ConnectorError):
    """The credential does not work: wrong key, no balance, suspended, address not authorised."""

    kind = "account"
    exit_code = 78
    usual_hint = "correct the credential or the account, then: automate apps test"


class SetupError(ConnectorError):
    """The provider refuses the set-up: template missing or inactive, sender unverified."""

    kind = "configuration"
    exit_code = 78
    usual_hint = "correct the app in the profile or at the provider, then: automate check --connect"


class ContentError(ConnectorError):
    """The provider refuses this message for what it holds (413, bad attachment)."""

    kind = "content"
    usual_hint = "correct the text or the data and automate errors retry, or leave it out: automate errors skip"


class RecipientError(ConnectorError):
    """The provider refuses this recipient (invalid number, 550 5.1.1, opted out)."""

    kind = "recipient"
    usual_hint = "correct the address and automate errors retry, or leave it out: automate errors skip"


class OutcomeUnknown(ConnectorError):
    """The request left and no answer says whether it was accepted. It may have been."""

    kind = "in_doubt"
    usual_hint = "ask the recipient or the provider, then: automate errors sent (it arrived) or automate errors retry (it did not)"
