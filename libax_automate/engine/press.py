"""The press of one model: its layout compiled once, and the documents that its messages carry (LX-30).

A plan fills the layout and looks at what comes out, with words in place of the number; the number and the PDF are a real run's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from libax_automate.engine import layout as layouts
from libax_automate.engine.fields import Names
from libax_automate.engine.language import chain
from libax_automate.engine.paper import LATER, Finished, Paper
from libax_automate.engine.spec import Profile
from libax_automate.engine.walltime import local_of
from libax_automate.engine.wording import Compiled
from libax_automate.errors import EmptyValue, ProfileError, TemplateError, UnknownField
from libax_automate.model import Document, Model, Stationery
from libax_automate.record import Record
from libax_automate.template import Sandbox

#: a layout, and each file that it names, is at most so large
_LARGEST = 4 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Said:
    """The message that carries a document, to be said again with the number in it."""

    wording: Compiled
    context: Mapping[str, Any]
    name: str

    def payload(self, number: str) -> dict[str, Any]:
        """What the message says under ``number``."""
        made = self.wording.payload({**self.context, "number": number})
        return {**made, "name": self.name} if self.name else made


def press_of(profile: Profile, model: str, recipe: Model[Any], sandbox: Sandbox, names: Names) -> Press | None:
    """What prints the documents of a model; None where it has none."""
    stationery = recipe.stationery()
    return Press(profile, model, stationery, sandbox, names) if stationery is not None else None


class Press:
    """Made once per run; raises TemplateError or ProfileError naming ``layout`` where the layout cannot be used."""

    def __init__(self, profile: Profile, model: str, stationery: Stationery, sandbox: Sandbox, names: Names) -> None:
        self._profile, self._stationery, self._names = profile, stationery, names
        self._series = stationery.series or model.upper()
        source = self._read(stationery.layout) if stationery.layout else _own(stationery, profile.locale)
        self._files: dict[str, bytes] = {}
        try:
            self._template = sandbox.template(source, html=True)
            layouts.faults(source)
        except TemplateError as error:
            raise TemplateError(f"layout: {error.message}", hint=error.hint) from None
        #: dotted fields that the layout names
        self.fields = self._template.order
        self._heads = tuple(dict.fromkeys(field.partition(".")[0] for field in self.fields))

    def _read(self, name: str) -> str:
        try:
            return self._file(name).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise TemplateError(f"layout: the file {name!r} is not UTF-8 text", hint="save it as UTF-8") from None

    def _file(self, name: str) -> bytes:
        """A file beside the profile."""
        root = self._profile.folder.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise TemplateError(f"layout: {name!r} lies outside the profile's folder", hint="move it beside the profile")
        try:
            if path.stat().st_size > _LARGEST:
                raise TemplateError(f"layout: {name!r} has more than {_LARGEST >> 20} MiB", hint="make it smaller")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise TemplateError(f"layout: {name!r} cannot be read: {why}", hint=f"put it into {Path(root)}") from None

    def _needed(self, found: layouts.Layout) -> Mapping[str, bytes]:
        """The pictures and fonts of a layout, each read once."""
        for name in found.files():
            if name not in self._files:
                self._files[name] = self._file(name)
        return self._files

    def values(self, now: datetime, number: str = LATER) -> dict[str, Any]:
        """The placeholders that every document has: its number, and the day of its issue."""
        return {"number": number, "issued": local_of(now, self._profile.timezone).date()}

    def paper(
        self, document: Document, said: Said, *, record: Record, recipient: Record, extra: Mapping[str, Any], now: datetime
    ) -> Paper | str:
        """The document of a candidate, or why there can be none for this person; ``said`` is the message that carries it."""
        day = local_of(now, self._profile.timezone).date()
        context = self._names.context(self._heads, record, recipient, extra, day)
        try:
            found = layouts.read(self._template.render({**context, "number": LATER}))
            missing = self._lacking(found)
        except (EmptyValue, UnknownField) as error:
            return f"its document: {error.message}"
        except TemplateError as error:
            raise TemplateError(f"layout, for {recipient.id or record.id}: {error.message}", hint=error.hint) from None
        if missing:
            return f"its document: the font of the layout has no {missing}"
        stationery = self._stationery
        return Paper(
            profile=self._profile.name,
            series=f"{self._series} {day.year}" if stationery.yearly else self._series,
            stem=self._series,
            first=stationery.first,
            written=partial(_written, self._series, day.year if stationery.yearly else None, stationery.digits),
            day=day,
            period=document.period,
            total=document.total,
            currency=document.total.currency,
            records=document.records,
            finish=partial(self._finish, context, said, day),
        )

    def _lacking(self, found: layouts.Layout) -> str:
        if found.font.lower() in layouts.BUILT_IN:
            self._needed(found)
            return found.unprintable()
        from libax_automate.engine.pdf import unprintable

        return unprintable(found, self._needed(found))

    def _finish(self, context: Mapping[str, Any], said: Said, day: date, number: str) -> Finished:
        from libax_automate.engine.pdf import print_pdf

        found = layouts.read(self._template.render({**context, "number": number}))
        tag = chain(self._profile.locale)[0].replace("_", "-")
        content = print_pdf(found, day=day, files=self._needed(found), author=self._profile.name, language=tag)
        return Finished(said.payload(number), f"{_UNSAFE.sub('-', number).strip('.-') or 'document'}.pdf", content)


def _written(series: str, year: int | None, digits: int, n: int) -> str:
    """``NP 2026/7`` of a yearly series, ``NP 7`` of one that never ends."""
    return f"{series} {n:0{digits}d}" if year is None else f"{series} {year}/{n:0{digits}d}"


def _own(stationery: Stationery, locale: str) -> str:
    """The recipe's own layout in the language of the profile, or the next best."""
    for language in chain(locale):
        if language in stationery.layouts:
            return stationery.layouts[language]
    raise ProfileError("layout: the recipe has none of its own", hint='write layout = "FILE.html"')
