"""The keys of each table of a profile, as people write them: types, limits, and a sentence for editors."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from libax_automate.engine.profile.days import monthdays_of, months_of, report_of, weekdays_of
from libax_automate.engine.profile.findings import did_you_mean, shown, wrong
from libax_automate.engine.profile.span import brake_of, cap_of, quiet_of, rate_of, span_of, time_of
from libax_automate.engine.spec import Activation, Cap, InDoubt, OnRecipientError, Quiet, Rate
from libax_automate.message import Channel
from libax_automate.model import Late, MessageClass
from libax_automate.options import Strings

#: what profiles, apps, models and steps may be called
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: who a model may be limited to (LX-48, LX-49, IB-10, IB-11)
AUDIENCE = ("active", "inactive", "person", "company", "no-mobile", "no-email", "all")
#: the channels a person can be reached by
REACH = (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)
_MAILBOX = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
#: "Name <address>" is as good as the address where a header carries it
_NAMED_MAILBOX = re.compile(r"[^<>\r\n]*<[^@\s<>,;\"]+@[^@\s<>,;\"]+>")
#: nobody on the internet has these addresses (RFC 1918, 4193, 6598, loopback); link-local ones hold cloud credentials and stay shut
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7")
)

E = TypeVar("E", bound=StrEnum)


def name_problem(name: str) -> tuple[str, str] | None:
    """What is wrong with a name, and a better one; None if nothing is."""
    if _NAME.fullmatch(name):
        return None
    better = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:64]
    hint = "lower-case letters, digits, - and _, at most 64" + (f": {better!r}" if _NAME.fullmatch(better) else "")
    return f"{shown(name)} is no name", hint


def _said(function: Callable[[Any], Any], *kinds: type) -> BeforeValidator:
    """Run a written-quantity parser; its ValueError becomes the finding. Other than ``kinds`` are left to pydantic's type error."""

    def parse(value: Any) -> Any:
        if kinds and not isinstance(value, kinds):
            raise wrong(f"should be a text, such as {_samples[function]!r}" if function in _samples else "has the wrong type")
        try:
            return function(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return BeforeValidator(parse)


def _choice(words: type[E] | tuple[E, ...]) -> BeforeValidator:
    allowed = [word.value for word in words]

    def choose(value: Any) -> Any:
        if not isinstance(value, str):
            raise wrong(f"should be one of {', '.join(allowed)}")
        if value not in allowed:
            raise wrong(f"{shown(value)} is none of {', '.join(allowed)}", did_you_mean(value, allowed))
        return value

    return BeforeValidator(choose)


def _times(value: Any) -> tuple[time, ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError('no time of day is named, such as "09:30"')
    return tuple(sorted({time_of(item) for item in items}))


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        raise ValueError("should be a date without a time, such as 2026-12-01")  # noqa: TRY004 - parsers raise ValueError
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise ValueError("should be a date, such as 2026-12-01 (no quotes needed)")


def _audience(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise wrong(f"should be words out of {', '.join(AUDIENCE)}")
    for word in words:
        if word not in AUDIENCE:
            raise wrong(f"{shown(word)} is no audience", did_you_mean(word, AUDIENCE))
    for one, other in (("active", "inactive"), ("person", "company")):
        if one in words and other in words:
            raise wrong(f'"{one}" and "{other}" leave nobody: all words must hold', "leave both out to reach both")
    return tuple(dict.fromkeys(word for word in words if word != "all"))


def _expires(value: str) -> str:
    text = value.strip().lower()
    if text != "day" and not span_of(text):
        raise ValueError("a message that expires at once never leaves")
    return text


def _cap(value: str) -> Cap | bool:
    # "none" of a model has to win over the cap of [defaults]
    return cap_of(value) or False


def _quiet(value: Any) -> Quiet | bool:
    # "none" of a model has to win over the hours of [defaults]
    if value is False or (isinstance(value, str) and value.strip().lower() == "none"):
        return False
    if not isinstance(value, str):
        raise wrong("should be a text, such as '21:00-09:00', or false")
    return quiet_of(value)


def _caps(value: Any) -> dict[str, Cap]:
    table = {"all": value} if isinstance(value, str) else value
    classes = [*map(str, MessageClass), "all"]
    if not isinstance(table, dict) or not all(isinstance(item, str) for item in table.values()):
        raise wrong("should be a cap, or a table of caps by class", 'such as "2 per 7d" or { courtesy = "1 per 7d" }')
    for name in table:
        if name not in classes:
            raise wrong(f"{shown(name)} is no class of messages", did_you_mean(name, classes))
    try:
        caps = {name: cap_of(item) for name, item in table.items()}
    except ValueError as error:
        raise wrong(str(error)) from None
    return {name: cap for name, cap in caps.items() if cap is not None}


def _fallback(value: Any) -> tuple[Channel, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise wrong("should be channels", 'such as ["sms", "email"]')
    allowed = [str(channel) for channel in REACH]
    for word in words:
        if word not in allowed:
            raise wrong(f"{shown(word)} is none of {', '.join(allowed)}", did_you_mean(word, allowed))
    return tuple(dict.fromkeys(Channel(word) for word in words))


def _networks(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong("should be a list of address ranges", 'such as ["10.1.2.3/32"]')
    return tuple(_network(item) for item in value)


def _network(text: str) -> str:
    try:
        interface = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise wrong(f"{shown(text)} is no address range", 'write it like "10.1.2.3/32" or "10.1.0.0/16"') from None
    network = interface.network
    if not any(network.version == inside.version and network.subnet_of(inside) for inside in _PRIVATE):  # type: ignore[arg-type]
        raise wrong(
            f"{shown(text)} reaches beyond private addresses",
            "public ones need no permission; allowed are ranges inside " + ", ".join(map(str, _PRIVATE)),
        )
    if interface.ip != network.network_address:
        raise wrong(f"{shown(text)} is an address and a range at once", f'write "{network}", or "{interface.ip}/{network.max_prefixlen}"')
    return str(network)


def _mailbox(value: Any) -> str:
    if isinstance(value, str) and (_MAILBOX.fullmatch(value.strip()) or _NAMED_MAILBOX.fullmatch(value.strip())):
        return value.strip()
    raise wrong("should be an e-mail address", "such as geral@example.com")


def _mailboxes(value: Any) -> tuple[str, ...]:
    return tuple(_mailbox(item) for item in (value if isinstance(value, list) else [value]))


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong("should be a text")
    if problem := name_problem(value):
        raise wrong(*problem)
    return value


def _send_days(value: Any) -> frozenset[int]:
    # written out: "all" of a model has to win over the "1-5" of [defaults]
    return weekdays_of(value) or frozenset(range(1, 8))


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _texts(value: Any) -> Any:
    return {key: _text(item) for key, item in value.items()} if isinstance(value, dict) else value


_samples: dict[Any, str] = {
    rate_of: "10/s", _cap: "2 per 7d", brake_of: "3x", quiet_of: "21:00-09:00", span_of: "2d", report_of: "mon 08:00", _expires: "1d",
}  # fmt: skip

_SET = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": ["integer", "string"]}}]}
_DATE = {"anyOf": [{"type": "string", "format": "date"}, {"type": "object"}]}
_STRING = {"type": "string"}
_STRINGS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Weekdays = Annotated[frozenset[int] | None, _said(weekdays_of), WithJsonSchema({**_SET, "examples": ["1-5", "mon-fri", "all"]})]
SendDays = Annotated[frozenset[int], _said(_send_days), WithJsonSchema({**_SET, "examples": ["1-5", "mon-fri", "all"]})]
Monthdays = Annotated[frozenset[int] | None, _said(monthdays_of), WithJsonSchema({**_SET, "examples": ["1-7", "1,15", "all"]})]
Months = Annotated[frozenset[int] | None, _said(months_of), WithJsonSchema({**_SET, "examples": ["1-6", "jan,jul", "all"]})]
Times = Annotated[tuple[time, ...], _said(_times), WithJsonSchema({**_STRINGS, "examples": ["09:30", ["09:30", "15:00"]]})]
Day = Annotated[date, _said(_date), WithJsonSchema({"type": "string", "examples": ["2026-12-01"]})]
Hours = Annotated[Quiet, _said(quiet_of, str), WithJsonSchema({**_STRING, "examples": ["21:00-09:00"]})]
#: a model's own: ``false`` where the hours of [defaults] are not for it
OwnHours = Annotated[
    Any, _said(_quiet), WithJsonSchema({"anyOf": [_STRING, {"const": False}], "examples": ["21:00-09:00", False]})
]  # fmt: skip
Pace = Annotated[Rate, _said(rate_of, str), WithJsonSchema({**_STRING, "examples": ["10/s", "100/min", "1000/h", "300/d"]})]
Report = Annotated[tuple[int, time], _said(report_of, str), WithJsonSchema({**_STRING, "examples": ["mon 08:00"]})]
Expiry = Annotated[str, _said(_expires, str), WithJsonSchema({**_STRING, "examples": ["day", "2h", "1d"]})]
Limit = Annotated[Any, _said(span_of, str), WithJsonSchema({**_STRING, "examples": ["2d"]})]
Capped = Annotated[Any, _said(_cap, str), WithJsonSchema({**_STRING, "examples": ["2 per 7d", "none"]})]
Caps = Annotated[
    dict[str, Cap],
    BeforeValidator(_caps),
    WithJsonSchema({"anyOf": [_STRING, {"type": "object", "additionalProperties": _STRING}], "examples": ["2 per 7d"]}),
]
Brake = Annotated[float, _said(brake_of, str), WithJsonSchema({**_STRING, "examples": ["3x", "none"]})]
Audience = Annotated[
    tuple[str, ...], BeforeValidator(_audience),
    WithJsonSchema({"type": ["string", "array"], "items": {"enum": list(AUDIENCE)}}),
]  # fmt: skip
Networks = Annotated[
    tuple[str, ...],
    BeforeValidator(_networks),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "examples": [["10.1.2.3/32"]]}),
]
Mailbox = Annotated[str, BeforeValidator(_mailbox), WithJsonSchema(_STRING)]
Mailboxes = Annotated[tuple[str, ...], BeforeValidator(_mailboxes), WithJsonSchema(_STRINGS)]
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME})]
Reach = Annotated[Channel, _choice(REACH), WithJsonSchema({"enum": [str(channel) for channel in REACH]})]
Fallback = Annotated[
    tuple[Channel, ...], BeforeValidator(_fallback),
    WithJsonSchema({"type": "array", "items": {"enum": [str(channel) for channel in REACH]}}),
]  # fmt: skip
Number = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "integer"]})]
Params = Annotated[
    dict[str, str], BeforeValidator(_texts),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]  # fmt: skip
Subject = Annotated[str, Field(max_length=998)]
Described = Annotated[str, Field(max_length=300, pattern=r"^[^\r\n]*$")]


class Keys(BaseModel):
    """Base of all tables: unknown keys are refused, input is never echoed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class ProfileKeys(Keys):
    """The top of the file."""

    name: Name | None = Field(None, description="What commands call the profile; default: the file's name.")
    timezone: str | None = Field(None, description="IANA time zone that all times of the profile are in.", examples=["Europe/Lisbon"])
    locale: str = Field("en_US", description="Language and country of money, dates and notices.", examples=["pt_PT", "pt_BR", "en_US"])
    country: str | None = Field(
        None, description="ISO 3166 code for telephone numbers without a prefix; default: the locale's.", examples=["PT"]
    )
    notify: Mailboxes = Field((), description="Who gets error notices and the weekly report.")
    report: Report | None = Field(None, description="Weekday and time of the weekly report.")
    activation: Annotated[Activation, _choice(Activation)] = Field(
        Activation.NEXT_DAY, description="When new schedule settings take effect (next-day, or immediate for tests and migrations)."
    )
    retention: Limit | None = Field(None, description="How long the wording of ended messages is kept; default: 365d.")


class DefaultsKeys(Keys):
    """``[defaults]``: what holds for every model."""

    email: str | None = Field(None, description="App that sends e-mail; none = the free plan over this machine's mail server.")
    sms: str | None = Field(None, description="App that sends text messages.")
    whatsapp: str | None = Field(None, description="App that sends WhatsApp messages.")
    quiet: Hours | None = Field(None, description="Hours in which nothing leaves; messages wait.")
    send_weekdays: SendDays | None = Field(None, description="Weekdays on which messages leave; on others they wait.")
    free_plan_sender: Mailbox | None = Field(None, description="Sender of e-mails that leave over the free plan.")
    reply_to: str | None = Field(None, description="Where answers go.")
    cap: Caps = Field(default_factory=dict, description="Most messages to one person: for all models together, or by class.")
    brake: Brake | None = Field(None, description="A run so many times larger than usual waits for `automate approve`.")


class TactKeys(Keys):
    """A ``[[tact]]`` table: what is not said to a person in a certain situation."""

    hold: str = Field(description="Model, or class of messages (courtesy, service, billing), that keeps silent.")
    near: str | None = Field(None, description="Another model that wrote, or is about to write, to the same person.")
    steps: Strings = Field((), description="Its steps that count; default: all.")
    within: Limit | None = Field(None, description="How far back the other model's messages count; default: 30d.")
    on: str | None = Field(None, description="Date field of the person, such as birth_date, on whose day nothing is said.")
    then: Literal["skip", "wait"] | None = Field(
        None, description="skip = not at all; wait = on a later day. Default: wait with `on`, else skip."
    )


class AppKeys(Keys):
    """The keys that every ``[apps.X]`` takes; all others are the connector's."""

    connector: str = Field(description="Name of an installed connector (`automate connectors list`).")
    rate: Pace | None = Field(None, description="Pace: calls per time; default: the connector's.")
    concurrency: int | None = Field(None, ge=1, le=256, description="Calls at the same time; default: the connector's.")
    window: int | None = Field(None, ge=1, le=100_000, description="Messages claimed at once: the most that a crash can leave in doubt.")
    in_doubt: Annotated[InDoubt, _choice(InDoubt)] = Field(
        InDoubt.HOLD, description="What becomes of a message whose outcome nobody can tell."
    )
    on_recipient_error: Annotated[OnRecipientError, _choice(OnRecipientError)] = Field(
        OnRecipientError.STOP, description="A refused recipient stops the queue, or is skipped."
    )
    allow_private: Networks = Field((), description="Private address ranges that requests may go to.")


class WordingKeys(Keys):
    """What a message says and by which way it goes: models and steps share these."""

    channel: Reach | None = Field(None, description="email, sms or whatsapp.")
    fallback: Fallback = Field((), description="Channels for those whom `channel` does not reach, in order; by their default apps.")
    via: str | None = Field(None, description="App that sends; default: the default app of the channel.")
    subject: Subject | None = Field(None, description="Subject of an e-mail; empty = a generic one.")
    text: str | None = Field(None, description="Message text with placeholders such as {{ first_name }}.")
    text_file: str | None = Field(None, description="File with the text, relative to the profile.")
    html: str | None = Field(None, description="HTML of an e-mail.")
    html_file: str | None = Field(None, description="File with the HTML, relative to the profile.")
    template: Number | None = Field(None, description="The provider's own template.")
    vars: Strings = Field((), description="Fields for the template's {{1}}, {{2}} …, in order.")
    params: Params = Field(default_factory=dict, description="Named values for the template.")
    reply_to: str | None = Field(None, description="Where answers go.")
    sender: str | None = Field(None, description="Sender, where it is not the app's.")
    cc: Strings = Field((), description="Copies.")
    bcc: Strings = Field((), description="Blind copies.")
    attachments: Strings = Field((), description="Files to attach, relative to the profile.")
    max_chars: int | None = Field(None, ge=1, le=100_000, description="Longest text that may leave.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Fields for the connector alone.")


class ModelKeys(WordingKeys):
    """The keys that every ``[models.X]`` takes; all others are the recipe's."""

    use: str = Field(description="Name of an installed recipe (`automate plugins list`).")
    source: str | None = Field(None, description="App that the records come from.")
    at: Times = Field((), description="Time or times of day.")
    cron: str | None = Field(None, description="Five cron fields, instead of `at`.")
    every: str | None = Field(None, description='Repetition counted from `start`, such as "14d".')
    realtime: bool = Field(False, description="Runs when the source tells of something new.")
    weekdays: Weekdays = Field(None, description="Weekdays, 1 = Monday.")
    monthdays: Monthdays = Field(None, description="Days of the month.")
    months: Months = Field(None, description="Months.")
    start: Day | None = Field(None, description="First day.")
    end: Day | None = Field(None, description="Last day.")
    enabled: bool = Field(True, description="false = does not run.")
    description: Described | None = Field(None, description="What it is for, in a line; lists and pages show it.")
    audience: Audience = Field((), description="All words must hold: " + ", ".join(AUDIENCE) + ".")
    where: str | None = Field(None, description="Condition over the record's fields, such as city == 'Porto' and age >= 18.")
    webhook: str | None = Field(None, description="Webhook app that gets the list instead of people getting messages.")
    activity: bool = Field(False, description="Writes an activity into the source for each message.")
    late: Annotated[Late, _choice(Late)] | None = Field(None, description="What a missed slot does.")
    late_limit: Limit | None = Field(None, description="How far back missed slots count.")
    expires: Expiry | None = Field(None, description='When an unsent message is void: "day", or a span.')
    once: bool = Field(False, description="Once per person for ever.")
    quiet: OwnHours | None = Field(None, description="Hours in which nothing leaves; messages wait. false = at any hour.")
    send_weekdays: SendDays | None = Field(None, description="Weekdays on which messages leave; on others they wait.")
    message_class: Annotated[MessageClass, _choice(MessageClass)] | None = Field(
        None, alias="class", description="courtesy, service or billing: what caps and tact count it as; default: the recipe's."
    )
    cap: Capped | None = Field(None, description='Most messages to one person, such as "2 per 7d"; "none" = no cap.')
    approve: bool = Field(False, description="Messages wait for `automate approve`.")
    brake: Brake | None = Field(None, description='A run so many times larger than usual, such as "3x", waits for `automate approve`.')
    consent: bool = Field(False, description="Only people who agreed hear from it.")


class StepKeys(WordingKeys):
    """The keys that every ``[[models.X.steps]]`` takes; all others are the recipe's."""

    stage: Number | None = Field(None, min_length=1, max_length=64, description="The step's name, unique in its model.")
    name: Number | None = Field(None, min_length=1, max_length=64, description="The step's name, where it is not the stage's.")
    description: Described | None = Field(None, description="What it is for, in a line; lists and pages show it.")
    approve: bool = Field(False, description="The step's messages wait for `automate approve`.")
