"""Notices to the profile's administrators (LX-57, LX-61): what stopped, why, and the exact commands that resolve it (LX-64 to LX-67)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from libax_automate.engine.language import Language
from libax_automate.engine.letter import Letter, one_line
from libax_automate.engine.spec import Profile

#: a queue that has waited this long is better cleared before its error is resolved (LX-67)
OLD = timedelta(days=2)
FIRST_REMINDER = timedelta(hours=4)
NEXT_REMINDERS = timedelta(days=1)

_KINDS = frozenset({"account", "configuration", "content", "recipient", "in_doubt", "transient", "rate_limited", "bug"})
#: classes that stand at one message, which can be skipped
_OF_A_MESSAGE = frozenset({"content", "recipient", "in_doubt", "bug"})
_LONGEST_CAUSE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenError:
    """One open error as people are told of it; texts are redacted already."""

    #: ``E12``
    id: str
    app: str
    #: the class: ``account``, ``configuration``, ``content``, ``recipient``, ``in_doubt``, ``transient``, ``rate_limited``, ``bug``
    kind: str
    cause: str
    hint: str = ""
    #: when it was opened; an instant
    since: datetime
    #: ``M1042``; empty where it stands at no message
    message: str = ""
    #: messages of the app that wait behind it
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A task that did not end well."""

    #: ``T77``
    id: str
    model: str
    #: ``failed``, ``crashed``, ``missed``, ``overlapped``
    state: str
    #: the profile's naive wall time
    slot: datetime
    reason: str
    hint: str = ""
    tries: int = 1
    #: when it is tried again by itself; an instant, None = never
    next_try: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An e-mail to be sent; the subject is one line."""

    subject: str
    text: str
    html: str


def next_reminder(opened: datetime, sent: int, *, last: datetime | None = None) -> datetime:
    """When the next notice of an error that was opened at ``opened`` leaves, ``sent`` having left: at once, after 4 h, then daily.

    ``last`` is when the last one left, where known: after a time without passes the reminders do not come all at once.
    """
    if sent <= 0:
        return opened
    if sent == 1:
        return (last or opened) + FIRST_REMINDER
    return last + NEXT_REMINDERS if last is not None else opened + (sent - 1) * NEXT_REMINDERS


def error_notice(profile: Profile, *, error: OpenError, reminder: int, language: Language, now: datetime) -> Notice:
    """The notice of an open error; ``reminder`` is 0 for the first and counts the reminders after it."""
    say = language.text
    kind = error.kind if error.kind in _KINDS else "other"
    what = say(f"kind.{kind}")
    values: dict[str, object] = {"profile": profile.name, "app": error.app, "what": what, "error": error.id}
    subject = say("error.subject.reminder", number=reminder, **values) if reminder else say("error.subject", **values)

    letter = Letter(say("error.title", app=error.app), language.tag, say("letter.foot", profile=profile.name))
    letter.paragraph(say("error.opening", since=language.datetime(error.since, profile.timezone), **values))
    letter.paragraph(language.ntext("error.waiting", error.waiting) if error.waiting else say("error.waiting.none"))
    facts = [(say("error.number"), error.id), (say("error.cause"), one_line(error.cause, _LONGEST_CAUSE))]
    if error.hint:
        facts.append((say("error.hint"), one_line(error.hint, _LONGEST_CAUSE)))
    if error.message:
        facts.append((say("error.message"), error.message))
    letter.facts(facts)

    letter.heading(say("error.todo"))
    old = error.waiting > 0 and now - error.since >= OLD
    if old:
        letter.paragraph(language.ntext("todo.old", (now - error.since).days, days=language.number((now - error.since).days)), strong=True)
    letter.paragraph(say(f"todo.{kind}"))
    letter.commands(_commands(profile, error, kind, language, old=old))
    letter.paragraph(say("error.again", span=language.span(NEXT_REMINDERS if reminder else FIRST_REMINDER)))
    return Notice(one_line(subject), letter.text(), letter.html())


def _commands(profile: Profile, error: OpenError, kind: str, language: Language, *, old: bool) -> list[tuple[str, str]]:
    """What to type, in the order in which it is best tried; ``profile/app`` is right with any number of profiles."""
    say, app = language.text, f"{profile.name}/{error.app}"
    retry = (f"automate errors retry {error.id}", say("command.retry.in_doubt" if kind == "in_doubt" else "command.retry"))
    skip = [(f"automate errors skip {error.id}", say("command.skip"))] if error.message or kind in _OF_A_MESSAGE else []
    sent = [(f"automate errors sent {error.id}", say("command.sent"))] if kind == "in_doubt" else []
    clear = [(f"automate queue clear {app}", say("command.clear"))] if error.waiting else []
    if old:
        clear.insert(0, (f"automate queue clear {app} --older-than 2d", say("command.clear.old")))
    show = (f"automate queue show {app}", say("command.show"))
    found = [*sent, retry, *skip] if kind != "recipient" else [*skip, retry]
    return [*clear, *found, show] if old else [*found, *clear, show]


def approval_notice(profile: Profile, *, approval: str, model: str, why: str, waiting: int, language: Language) -> Notice:
    """The notice of messages that wait for a person's yes (``A3``)."""
    say = language.text
    values: dict[str, object] = {"profile": profile.name, "model": model, "approval": approval}
    letter = Letter(say("approval.title", **values), language.tag, say("letter.foot", profile=profile.name))
    letter.paragraph(say("approval.opening", **values))
    letter.paragraph(language.ntext("error.waiting", waiting) if waiting else say("error.waiting.none"))
    letter.facts([(say("error.cause"), one_line(why, _LONGEST_CAUSE))])
    letter.heading(say("error.todo"))
    letter.commands(
        [
            (f"automate plan {profile.name}/{model}", say("command.plan")),
            (f"automate approve {approval}", say("command.approve")),
            (f"automate approve {approval} --reject", say("command.reject")),
        ]
    )
    return Notice(one_line(say("approval.subject", **values)), letter.text(), letter.html())


def task_notice(profile: Profile, *, task: TaskFailure, language: Language) -> Notice:
    """The notice of a task that failed, crashed or did not run."""
    say = language.text
    state = say(f"state.{task.state}") if f"state.{task.state}" in language else task.state
    values: dict[str, object] = {"profile": profile.name, "model": task.model, "task": task.id, "state": state}
    letter = Letter(say("task.title", **values), language.tag, say("letter.foot", profile=profile.name))
    letter.paragraph(say("task.opening", slot=language.datetime(task.slot), **values))
    facts = [(say("error.cause"), one_line(task.reason, _LONGEST_CAUSE))]
    if task.hint:
        facts.append((say("error.hint"), one_line(task.hint, _LONGEST_CAUSE)))
    letter.facts(facts)
    tried = language.ntext("task.tries", task.tries)
    after = say("task.given_up") if task.next_try is None else say("task.next", at=language.datetime(task.next_try, profile.timezone))
    letter.paragraph(f"{tried} {after}")
    letter.heading(say("error.todo"))
    letter.commands(
        [
            ("automate check --connect", say("command.check")),
            (f"automate tasks retry {task.id}", say("command.task.retry")),
            (f"automate tasks show {task.id}", say("command.task.show")),
        ]
    )
    return Notice(one_line(say("task.subject", **values)), letter.text(), letter.html())
