"""What ``check`` says of a model's texts: a provider's template against its variables, and what real records make of the wording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from libax_automate.connector import Template
from libax_automate.engine.preflight import Flight, Longest, Tally
from libax_automate.engine.segments import Encoding
from libax_automate.engine.spec import Wording
from libax_automate.placeholder import field_of, listed

#: the key of the wording, what, what to do, and whether it works all the same
Fault = tuple[str, str, str, bool]

#: characters of an SMS that fits into one (PR-31)
_ONE = 160
#: missing values that are named for a model
_NAMED = 20


def template_faults(app: str, wording: Wording, known: Sequence[Template]) -> Iterator[Fault]:
    """A provider's template: that it exists and is active (LX-79), and gets its values, as many, in its order (IC-09) or by its names."""
    # one template may be there in several languages, of which not all are active
    same = sorted((each for each in known if each.id == wording.template), key=lambda each: not each.active)
    if not same:
        hint = _near(str(wording.template), known) or f"see: automate apps templates {app}"
        yield "template", f"{app!r} has no template {wording.template!r}", hint, False
        return
    found = same[0]
    if not found.active:
        yield "template", f"template {wording.template!r} is not active at {app!r} (LX-79)", "activate it there", False
        return
    if found.variables is None:
        return
    if wording.params:
        yield from _named(wording, found.variables)
    else:
        yield from _ordered(wording, found.variables)


def _ordered(wording: Wording, wanted: tuple[str, ...]) -> Iterator[Fault]:
    given = [part for each in wording.vars for part in listed(each)]
    if len(given) != len(wanted):
        yield (
            "vars", f"template {wording.template!r} wants {len(wanted)} values ({', '.join(wanted) or 'none'}), not {len(given)}",
            "correct vars: as many fields, in the template's order (IC-09)", False,
        )  # fmt: skip
        return
    names, order = [_last(each) for each in given], [_last(each) for each in wanted]
    if names != order and sorted(names) == sorted(order):
        yield (
            "vars", f"template {wording.template!r} takes its values in another order: {', '.join(wanted)}",
            f"vars = [{', '.join(repr(given[names.index(name)]) for name in order)}]".replace("'", '"'), False,
        )  # fmt: skip


def _named(wording: Wording, wanted: tuple[str, ...]) -> Iterator[Fault]:
    if all(each.isdigit() for each in wanted):
        return  # the provider numbers its variables, and has no names to go by
    for name in wanted:
        if name not in wording.params:
            near = get_close_matches(name, [each for each in wording.params if each not in wanted], 1)
            hint = f"{near[0]!r} should be {name!r}" if near else f'add {name} = "…" to params'
            yield "params", f"template {wording.template!r} wants a value for {name!r}, and params has none", hint, False
    for name in wording.params:
        if name not in wanted:
            yield (
                f"params.{name}",
                f"template {wording.template!r} has no variable {name!r}: nobody will read it",
                "remove it from params",
                True,
            )


def _last(field: str) -> str:
    """A field's own name, however it is spelt: ``#cliente_razao#`` and ``customer.name`` are the same."""
    return field_of(field.strip().strip("()#{} ")).rpartition(".")[2].casefold()


def _near(name: str, known: Sequence[Template]) -> str:
    """What to write instead: a model names a template by its id, whatever it is called."""
    ids = {each.name: each.id for each in known} | {each.id: each.id for each in known}
    near = get_close_matches(name, ids, 1)
    if not near:
        return ""
    guess = "" if near[0] == name else f"did you mean {near[0]!r}?"
    return guess if ids[near[0]] == near[0] else f'{guess} write its id: template = "{ids[near[0]]}"'.lstrip()


# -- over real records ---------------------------------------------------------------------------------------------------


def flight_faults(flight: Flight, *, thorough: bool) -> Iterator[Fault]:
    """Values that are empty for those whom the model would write to now, texts that cannot be made, SMS of more than 160 characters.

    If ``thorough``, also what those lack who some day are written to, where nobody is now, and SMS that are more than one for their alphabet.
    """
    tally = flight.asked if thorough else flight.now
    for each in {id(found): found for found in (flight.now, flight.ever)}.values():
        if each.broken is not None:
            person, error = each.broken
            key, _, what = error.message.rpartition(": ")
            yield key, f"the message to {person} cannot be made: {what}", error.hint or "correct the text", False
            break
    for missing in sorted(tally.missing.values(), key=lambda each: -each.number)[:_NAMED]:
        who = _of(missing.number, tally, now=tally is flight.now)
        example = f"{missing.person}{f' ({missing.where})' if missing.where else ''}"
        instead = f"fill it in, or write what stands for it: {{{{ {missing.field} or '…' }}}}"
        yield missing.key, f"{missing.field} is empty for {who}, such as {example}: no message can be made", instead, True
    for over in tally.over.values():
        who = _of(over.number, tally, now=tally is flight.now)
        yield over.key, f"too long for {who}, such as {over.person} ({over.field}): they are left out", "shorten the text", True
    for longest in flight.longest:
        if longest.characters > _ONE or (thorough and longest.size.segments > 1):
            yield _long(longest)


def _of(number: int, tally: Tally, *, now: bool) -> str:
    when = "now" if now else "some day"
    return f"{number} of the {tally.people} people it would go to {when}" if tally.people > 1 else f"the one person it would go to {when}"


def _long(each: Longest) -> Fault:
    key = f"steps {each.step}, text" if each.step else "text"
    over = f", more than {_ONE} characters (PR-31)" if each.characters > _ONE else ""
    return key, f"its longest SMS is {described(each)}, to {each.person}{over}", _shorter(each), True


def _shorter(each: Longest) -> str:
    if each.size.encoding is Encoding.UCS2 and each.characters <= _ONE:
        return f"without {each.size.forced!r} and the like it is one; or shorten it to 70 characters"
    return "shorten it, or set max_chars = 160: longer ones are then left out"


def described(each: Longest) -> str:
    """An SMS in words: ``173 characters, 3 segments (UCS-2, for the sake of 'ã')``."""
    size = each.size
    why = f", for the sake of {size.forced!r}" if size.forced else ""
    return f"{each.characters} characters, {size.segments} segment{'s' if size.segments != 1 else ''} ({size.encoding}{why})"


def fact(profile: str, model: str, each: Longest) -> dict[str, Any]:
    """An SMS, JSON-ready."""
    return {
        "profile": profile, "model": model, "step": each.step, "app": each.app, "texts": each.texts, "person": each.person,
        "characters": each.characters, "encoding": str(each.size.encoding), "units": each.size.units, "segments": each.size.segments,
        "forced_by": each.size.forced,
    }  # fmt: skip
