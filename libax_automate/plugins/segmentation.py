"""The segmentation model: criteria put customers into groups, and another application hears who enters and who leaves (LX-26)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.errors import EmptyValue, TemplateError
from libax_automate.record import ENTITIES

_STANDS = frozenset({ax.SentState.SENT, ax.SentState.OPEN})


class SegmentationOptions(ax.Options):
    """Options of the segmentation model."""

    groups: dict[str, str] = Field(description="Group -> the condition that puts somebody into it.", min_length=1)
    app: str = Field(description="The app that keeps the groups: its lists, tags or fields.")
    enter: str = Field("list-add", description="The action for who enters a group.")
    leave: str = Field("list-remove", description="The action for who leaves a group.")
    fields: dict[str, dict[str, str | int]] = Field(
        default_factory=dict, description="Group -> the fields of its actions, such as the list; default: group = its name."
    )
    to: str = Field("email", description="The field by which the app knows a person: email, mobile, id.")

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

    @field_validator("fields")
    @classmethod
    def _known(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        for name in value:
            if name not in info.data.get("groups", value):
                raise ValueError(f"{name!r} is no group")
        return value


class Segmentation(ax.Model[SegmentationOptions]):
    """Works out who belongs to each group, and acts on the difference to what earlier runs did.

    The memory is the ledger's own: who was put into a group, by address, and not taken out since. An address that no contact has any more
    leaves its groups. A source without a single contact is not believed: nobody leaves.
    """

    name = "segmentation"
    title = "Put customers into groups by criteria: lists, tags or fields of another application"
    messages = False
    late = ax.Late.ONCE
    placeholders: ClassVar[Mapping[str, str]] = {}

    def reads(self) -> tuple[str, ...]:
        """How the app knows a person."""
        return (self.options.to,)

    def plan(self, run: ax.Run) -> Iterator[ax.Effect]:
        """Yield an action for each person who enters or leaves a group."""
        wanted = self._members(run)
        if wanted is None:
            return
        for to, (person, groups) in wanted.items():
            for group in groups:
                sent = run.sent(to)
                if not _inside(sent, group):
                    yield self._effect("enter", group, to, person=person, turn=_number(sent.get(f"leave {group}")))
        for to in list(run.spoken()):
            sent = run.sent(to)
            person, groups = wanted.get(to, (to, {}))
            for group in self.options.groups:
                if group not in groups and _inside(sent, group):
                    yield self._effect("leave", group, to, person=person, turn=_number(sent.get(f"enter {group}")))

    def _members(self, run: ax.Run) -> dict[str, tuple[str, dict[str, None]]] | None:
        """Address -> the first contact that has it, and the groups of all that have it; None where there is no contact at all."""
        from libax_automate.template import Sandbox

        sandbox = Sandbox(timezone=run.timezone.key)
        compiled = {name: sandbox.expression(source) for name, source in self.options.groups.items()}
        blank: dict[str, Any] = dict.fromkeys(ENTITIES["contacts"])
        found: dict[str, tuple[str, dict[str, None]]] = {}
        empty = True
        for record in run.fetch("contacts", ax.Query()):
            empty = False
            to = record.get(self.options.to)
            if not to:
                continue
            context = {**blank, "today": run.last, **record}
            for name, expression in compiled.items():
                try:
                    belongs = bool(expression.evaluate(context))
                except EmptyValue:
                    belongs = False  # what nobody knows of somebody is no reason to put them anywhere
                except TemplateError as error:
                    raise TemplateError(f"groups, {name}: {error.message}", hint=error.hint) from None
                if belongs:
                    found.setdefault(str(to), (record.id or str(to), {}))[1][name] = None
        return None if empty else found

    def _effect(self, what: str, group: str, to: str, *, person: str, turn: int) -> ax.Effect:
        options = self.options
        return ax.Effect(
            app=options.app,
            kind=options.enter if what == "enter" else options.leave,
            to=to,
            # who comes back enters anew: each turn follows upon the message that ended the last one
            occasion=ax.covering([to], turn),
            fields=options.fields.get(group, {"group": group}),
            person=person,
            step=f"{what} {group}",
            why=f"{what}s {group}",
        )


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
