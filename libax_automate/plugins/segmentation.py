"""The segmentation model: criteria put customers into groups, and another application hears who enters and who leaves (LX-26)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

import libax_automate as ax
from libax_automate.errors import EmptyValue, TemplateError
from libax_automate.record import ENTITIES

#: a contact of whom nothing is known
_BLANK: Mapping[str, Any] = dict.fromkeys(ENTITIES["contacts"])
_STANDS = frozenset({ax.SentState.SENT, ax.SentState.OPEN})


class SegmentationOptions(ax.Options):
    """Options of the segmentation model."""

    groups: dict[str, str] = Field(description="Group -> the condition that puts somebody into it.", min_length=1)
    app: str | None = Field(None, description="The app that keeps the groups: its lists, tags or fields.", min_length=1)
    enter: str = Field("list-add", description="The action for who enters a group.", min_length=1)
    leave: Annotated[str, Field(min_length=1)] | Literal[False] = Field(
        "list-remove", description="The action for who leaves a group; false = the app is told of those who enter alone, once."
    )
    fields: dict[str, dict[str, str | int]] = Field(
        default_factory=dict, description="Group -> the fields of its actions, such as the list; default: group = its name."
    )
    leave_fields: dict[str, dict[str, str | int]] = Field(
        default_factory=dict, description="Group -> the fields of the action for who leaves, where they are others."
    )
    to: str = Field("email", description="The field by which the app knows a person: email, mobile, id.")
    file: str | None = Field(
        None, description="A CSV that keeps the groups, relative to the profile: who, in which, since when.", min_length=1
    )

    @field_validator("groups")
    @classmethod
    def _readable(cls, value: dict[str, str]) -> dict[str, str]:
        from libax_automate.template import Sandbox

        sandbox = Sandbox()
        for name, source in value.items():
            try:
                sandbox.expression(source)
            except TemplateError as error:
                raise ValueError(f"{name}: {error.message}") from None
        return value

    @field_validator("fields", "leave_fields")
    @classmethod
    def _known(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        for name in value:
            if name not in info.data.get("groups", value):
                raise ValueError(f"{name!r} is no group")
        return value

    @model_validator(mode="after")
    def _kept_somewhere(self) -> SegmentationOptions:
        if self.app is None and self.file is None:
            raise ValueError('nobody keeps the groups: add app = "…", or file = "groups.csv"')
        return self


class Segmentation(ax.Model[SegmentationOptions]):
    """Works out who belongs to each group, and acts on the difference to what earlier runs did.

    An app's memory is the ledger's own: who was put into a group, by address, and not taken out since. An address that no contact has any
    more leaves its groups. A file remembers by itself, by the contact's id. A source without a single contact is not believed: nobody leaves.
    """

    name = "segmentation"
    title = "Put customers into groups by criteria: lists, tags or fields of another application, or a CSV"
    messages = False
    late = ax.Late.ONCE
    placeholders: ClassVar[Mapping[str, str]] = {}

    def reads(self) -> tuple[str, ...]:
        """How the app knows a person."""
        return (self.options.to,) if self.options.app else ()

    def conditions(self) -> Iterator[tuple[str, str]]:
        """What puts somebody into a group."""
        for name, source in self.options.groups.items():
            yield f"groups.{name}", source

    def errands(self) -> Iterator[tuple[str, str, str]]:
        """What the app is asked to do."""
        if self.options.app is not None:
            yield "enter", self.options.app, self.options.enter
            if self.options.leave is not False:
                yield "leave", self.options.app, self.options.leave

    def rolls(self) -> Iterator[tuple[str, str]]:
        """The file, where there is one."""
        if self.options.file is not None:
            yield "file", self.options.file

    def plan(self, run: ax.Run) -> Iterator[ax.Effect | ax.Roll]:
        """Yield an action for each person who enters or leaves a group, and the file as it shall be."""
        options = self.options
        members: list[ax.Member] = []
        spoken = dict.fromkeys(run.spoken() if options.app is not None else (), "")
        wanted = self._members(run, members, spoken)
        if wanted is None:
            return
        if options.file is not None:
            yield ax.Roll(file=options.file, members=members)
        if options.app is None:
            return
        # first who leaves: where one field of the app says the group, the new one is to stand in it
        for to, known in spoken.items() if options.leave is not False else ():
            sent = run.sent(to)
            person, groups = wanted.get(to, (known or to, {}))
            for group in options.groups:
                if group not in groups and _inside(sent, group):
                    yield self._effect("leave", group, to, person=person, turn=_number(sent.get(f"enter {group}")))
        for to, (person, groups) in wanted.items():
            for group in groups:
                sent = run.sent(to)
                if not _inside(sent, group):
                    yield self._effect("enter", group, to, person=person, turn=_number(sent.get(f"leave {group}")))

    def story(self, run: ax.Run, records: Sequence[ax.Record]) -> Iterator[str]:
        """Which groups a person is in, which not, and what the app has been told."""
        compiled = self._compiled(run)
        for record in records:
            to, context = str(record.get(self.options.to) or ""), _context(record, run.last)
            for name, expression in compiled.items():
                condition = self.options.groups[name]
                told = ""
                for verb in ("enter", "leave") if to else ():
                    sent = run.sent(to).get(f"{verb} {name}")
                    told += f"; {verb} {sent.state} on {sent.day} ({sent.message})" if sent is not None else ""
                yield f"{name}: {'in' if self._belongs(expression, name, context) else 'not in'}, by {condition}{told}"

    def _compiled(self, run: ax.Run) -> dict[str, Any]:
        from libax_automate.template import Sandbox

        sandbox = Sandbox(timezone=run.timezone.key)
        return {name: sandbox.expression(source) for name, source in self.options.groups.items()}

    @staticmethod
    def _belongs(expression: Any, name: str, context: Mapping[str, Any]) -> bool:
        try:
            return bool(expression.evaluate(context))
        except EmptyValue:
            return False  # what nobody knows of somebody is no reason to put them anywhere
        except TemplateError as error:
            raise TemplateError(f"groups, {name}: {error.message}", hint=error.hint) from None

    def _members(self, run: ax.Run, members: list[ax.Member], spoken: dict[str, str]) -> dict[str, tuple[str, dict[str, None]]] | None:
        """Address -> the first contact that has it, and the groups of all that have it; None where there is no contact at all.

        ``members`` is filled with the lines of the file, where there is one, and ``spoken`` with whose its addresses are.
        """
        options, compiled = self.options, self._compiled(run)
        found: dict[str, tuple[str, dict[str, None]]] = {}
        empty = True
        for record in run.fetch("contacts", ax.Query()):
            empty = False
            to = str(record.get(options.to) or "")
            if not to and options.file is None:
                continue
            person, email, mobile = record.id, str(record.get("email") or ""), str(record.get("mobile") or "")
            if spoken.get(to) == "":
                spoken[to] = person
            context = _context(record, run.last)
            for name, expression in compiled.items():
                if not self._belongs(expression, name, context):
                    continue
                if to:
                    found.setdefault(to, (person or to, {}))[1][name] = None
                if options.file is not None and (key := person or email or mobile):
                    members.append(ax.Member(name, key, str(record.get("name") or record.get("first_name") or ""), email, mobile))
        return None if empty else found

    def _effect(self, what: str, group: str, to: str, *, person: str, turn: int) -> ax.Effect:
        options = self.options
        fields = options.fields.get(group, {"group": group})
        kind: str | bool = options.enter
        if what == "leave":
            fields, kind = options.leave_fields.get(group, fields), options.leave
        return ax.Effect(
            app=str(options.app),
            kind=str(kind),
            to=to,
            # who comes back enters anew: each turn follows upon the message that ended the last one
            occasion=ax.covering([to], turn),
            fields=fields,
            person=person,
            step=f"{what} {group}",
            why=f"{what}s {group}",
        )


def _context(record: ax.Record, today: date) -> dict[str, Any]:
    return {**_BLANK, "today": today, **record}


def _inside(sent: Mapping[str, ax.Sent], group: str) -> bool:
    """Whether the last that was done stands, or waits, as an entry."""
    entered, left = sent.get(f"enter {group}"), sent.get(f"leave {group}")
    if entered is None or entered.state not in _STANDS:
        return False
    return left is None or left.state not in _STANDS or _number(entered) > _number(left)


def _number(sent: ax.Sent | None) -> int:
    """The number of a message, which grows with time; 0 for none."""
    digits = sent.message[1:] if sent is not None else ""
    return int(digits) if digits.isdecimal() else 0


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Segmentation]
