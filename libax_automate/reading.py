"""Records whose fields are read when somebody asks for them, out of the row they stand in.

A run over a hundred thousand customers looks at four or five fields of each; reading and validating the other twenty would be most of its
work. What a record answers, its problems included, is the same as if all had been read at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeAlias

from libax_automate._words import snake
from libax_automate.record import ENTITIES, FieldType, Money, Record

#: what reads a source's value of one field; it answers, or raises ValueError with the reason
Convert: TypeAlias = Callable[[Any], Any]
#: canonical field → where its value stands in a row, and what reads it
Shape: TypeAlias = Mapping[str, tuple[Any, Convert]]
#: who reads rows of one shape, and the shape
Kin: TypeAlias = "tuple[Reading, Shape]"

_ABSENT: Any = object()
_has, _get, _put = dict.__contains__, dict.get, dict.__setitem__
#: kinds of rows that are remembered
_KINDS = 512
_NAMES = ("name", "first_name", "last_name")


class Unreadable(ValueError):
    """Why a value cannot be read; ``instead`` is what the field holds all the same."""

    def __init__(self, why: str, instead: Any = None) -> None:
        super().__init__(why)
        self.instead = instead


class Reading:
    """How rows of one entity become fields: all of them, or one at a time.

    Keys of a row are canonical names, or others, which become snake_case ASCII and pass through. A value that cannot be read becomes None
    and is named in ``Record.problems``. Derived where missing: ``first_name`` and ``last_name`` from ``name`` (of people, not companies) and
    back, ``balance`` from ``amount``; amounts carry the row's currency.

    A source whose rows are no mappings (a list of cells), or have other keys, overrides ``values``, ``kin``, ``raw`` and ``where``. A row
    must not change after it was handed over.
    """

    def __init__(self, entity: str, converter: Callable[[str], Convert], *, instead: Mapping[str, Convert] | None = None) -> None:
        """``converter`` answers what reads a canonical field (``Canonical.converter``), ``instead`` what reads it in this source."""
        self.entity = entity
        self._other = converter("")
        fields = ENTITIES.get(entity, {})
        self._steps: dict[str, tuple[str, Convert]] = {name: (name, converter(name)) for name in fields}
        if instead:
            self._steps.update({name: (name, convert) for name, convert in instead.items()})
        self._amounts = tuple(name for name, field in fields.items() if field.type is FieldType.AMOUNT)
        self._named = "first_name" in fields
        self._owed = "balance" in fields
        self._derived = frozenset((*self._amounts, *(_NAMES if self._named else ())))
        self._kin: dict[tuple[str, ...], Kin | None] = {}

    # -- what a source says of its rows ----------------------------------------------------------------------------------

    def values(self, row: Any) -> Mapping[str, Any]:
        """The row's values by name."""
        return row  # type: ignore[no-any-return]

    def raw(self, row: Any) -> Mapping[str, Any]:
        """The row as the source had it, by the source's own names."""
        return self.values(row)

    def where(self, at: Any) -> str:
        """Where a row is, for people; ``at`` is what the source gave with it, the record's id where it gave nothing."""
        return str(at)

    def kin(self, row: Any) -> Kin | None:
        """How rows like this one are read; None where two of its values are of one field, and only the whole row can tell."""
        keys = tuple(row)
        try:
            return self._kin[keys]
        except KeyError:
            if len(self._kin) >= _KINDS:
                self._kin.clear()
            found = self._kin[keys] = self.columns((key, key) for key in keys)
            return found

    def columns(self, places: Iterable[tuple[str, Any]]) -> Kin | None:
        """How rows are read in which the value of each name stands at that place; None where two are of one field."""
        found: dict[str, tuple[Any, Convert]] = {}
        for key, place in places:
            name, convert = self._step(key)
            if name in found:
                return None
            found[name] = (place, convert)
        return self, found

    def _step(self, key: str) -> tuple[str, Convert]:
        """The field that a name means, and what reads it."""
        step = self._steps.get(key)
        if step is None:
            name = snake(key) or key
            # a foreign heading never takes a canonical field's name by accident of spelling, unless it is that name
            step = self._steps[key] = self._steps.get(name) or (name, self._other)
        return step

    # -- records ---------------------------------------------------------------------------------------------------------

    def record(self, row: Any, *, at: Any = "") -> Record:
        """The row as a record; read in whole at once where it has no id that can be told at a glance."""
        kin = self.kin(row)
        place = kin[1].get("id") if kin is not None else None
        value = row[place[0]] if place is not None else None
        if kin is not None and place is not None and value is not None and not (type(value) is str and not value.strip()):
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                name = place[1](value)
                record: LazyRecord = LazyRecord.of(kin, row)
                record.at = at
                _put(record, "id", name)
                return record
        fields, problems = self.fields(self.values(row))
        return Record(self.entity, fields, raw=self.raw(row), where=self.where(at), problems=problems)

    def fields(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """All fields of a row, and what is wrong with it by field."""
        fields: dict[str, Any] = {}
        problems: dict[str, str] = {}
        steps = self._steps
        for key, value in values.items():
            name, convert = steps.get(key) or self._step(key)
            if value is None or value == "" or (isinstance(value, str) and not value.strip()):
                fields.setdefault(name, None)
                continue
            try:
                fields[name] = convert(value)
            except (ValueError, TypeError, OverflowError) as error:
                fields[name] = getattr(error, "instead", None)
                problems[name] = str(error)
        if self._amounts:
            self._give_currency(fields)
        if self._named:
            _complete_names(fields)
        return fields, problems

    def find(self, record: LazyRecord, shape: Shape, name: str) -> Any:
        """One field of a record that has not been read yet, which the record then keeps; ``_ABSENT`` where there is none."""
        if name in self._derived:
            if name == "name" and name in shape and (value := self._one(record, shape, name)):
                _put(record, name, value)  # its parts may never be asked for
                return value
            if name in _NAMES:
                if "name" in shape and not ("first_name" in shape or "last_name" in shape):
                    return self._half_of(record, shape, name)
                found = self._names_of(record, shape)
            else:
                found = self._amounts_of(record, shape)
            for each, value in found.items():
                if not _has(record, each):
                    _put(record, each, value)
            return found.get(name, _ABSENT)
        step = shape.get(name)
        if step is None:
            return _ABSENT
        value = record.row[step[0]]
        if value is not None:
            value = self._read(record, name, step[1], value)
        _put(record, name, value)
        return value

    def has(self, record: LazyRecord, shape: Shape, name: str) -> bool:
        """Whether a record that has not been read yet has a field."""
        return name in shape or (name in self._derived and self.find(record, shape, name) is not _ABSENT)

    def _one(self, record: LazyRecord, shape: Shape, name: str) -> Any:
        place, convert = shape[name]
        value = record.row[place]
        return None if value is None else self._read(record, name, convert, value)

    @staticmethod
    def _read(record: LazyRecord, name: str, convert: Convert, value: Any) -> Any:
        if value == "" or (isinstance(value, str) and value.isspace()):
            return None
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError) as error:
            record.notes = {**record.notes, name: str(error)}
            return getattr(error, "instead", None)

    def _half_of(self, record: LazyRecord, shape: Shape, name: str) -> Any:
        """The first or last name out of the whole one, where there is no other: the same as ``_complete_names``, in half the time."""
        if name == "name":
            _put(record, name, None)  # or it would have been found before
            return None
        whole = self._one(record, shape, "name")
        if not whole or ("person_type" in shape and self._one(record, shape, "person_type") == "company"):
            return _ABSENT
        first, last = _halves(whole)
        if not _has(record, "first_name"):
            _put(record, "first_name", first)
        if not _has(record, "last_name"):
            _put(record, "last_name", last or None)
        return first if name == "first_name" else last or None

    def _names_of(self, record: LazyRecord, shape: Shape) -> dict[str, Any]:
        found = {}
        for name in _NAMES:
            if name in shape:
                found[name] = self._one(record, shape, name)
        if "person_type" in shape:
            found["person_type"] = self._one(record, shape, "person_type")
        _complete_names(found)
        return found

    def _amounts_of(self, record: LazyRecord, shape: Shape) -> dict[str, Any]:
        found = {name: self._one(record, shape, name) for name in self._amounts if name in shape}
        if "currency" in shape:
            found["currency"] = self._one(record, shape, "currency")
        self._give_currency(found)
        return found

    def _give_currency(self, fields: dict[str, Any]) -> None:
        currency = fields.get("currency") or ""
        for name in self._amounts:
            if (pair := fields.get(name)) is not None:
                fields[name] = Money.of(pair[0], currency or pair[1])
        if self._owed and fields.get("balance") is None and "amount" in fields:
            fields["balance"] = fields["amount"]


#: in the dictionary of every record that has not been read in whole: encoders that look into it themselves do not take it for an empty one,
#: and ask for its items
_MARK: Any = object()
_UNREAD = {_MARK: None}
_NOTHING: Mapping[str, str] = {}


class LazyRecord(Record):
    """A :class:`Record` that reads a field when it is asked for one, and all of them when it is asked for all.

    Made out of a row by a :class:`Reading`. It keeps what it has read, and what is written into it.
    """

    __slots__ = ("at", "kin", "notes", "row")

    #: how the row is read; None when all of it has been
    kin: Kin | None
    row: Any
    #: what says where the row is; the id where nothing else was given
    at: Any
    #: what was wrong with the fields that have been read
    notes: Mapping[str, str]

    __init__ = dict.__init__

    @classmethod
    def of(cls, kin: Kin, row: Any) -> Self:
        """A record of which nothing is known yet but that ``row`` has an id that can be read."""
        record: Self = cls(_UNREAD)
        record.kin = kin
        record.row = row
        record.notes = _NOTHING
        return record

    @classmethod
    def at_once(cls, kin: Kin, row: Any, name: str, at: Any) -> Self:
        """Such a record, with the id that has been read already, and its place."""
        record: Self = cls(_UNREAD)
        record.kin = kin
        record.row = row
        record.notes = _NOTHING
        record.at = at
        record.entity = kin[0].entity
        _put(record, "id", name)
        return record

    @classmethod
    def all_of(cls, kin: Kin, rows: Iterable[Any]) -> list[Self]:
        """Many such records of one kind."""
        made: list[Self] = []
        keep = made.append
        for row in rows:
            record: Self = cls(_UNREAD)
            record.kin = kin
            record.row = row
            record.notes = _NOTHING
            keep(record)
        return made

    def __getattr__(self, name: str) -> Any:
        # asked for only where a slot is empty
        if name == "kin" or (kin := self.kin) is None:
            raise AttributeError(name)
        if name == "at":
            self.at = self.id
        elif name == "entity":
            self.entity = kin[0].entity
        elif name == "raw":
            self.raw = kin[0].raw(self.row)
        elif name == "where":
            self.where = kin[0].where(self.at)
        elif name == "problems":
            self.read()
        return object.__getattribute__(self, name)

    def read(self) -> None:
        """Read all that has not been read; what is known already stays as it is."""
        kin = self.kin
        if kin is None:
            return
        fields, problems = kin[0].fields(kin[0].values(self.row))
        fields.update(dict.items(self))
        del fields[_MARK]
        self.entity, self.raw, self.where = self.entity, self.raw, self.where
        dict.clear(self)
        dict.update(self, fields)
        self.kin = self.row = None
        try:
            object.__getattribute__(self, "problems")
        except AttributeError:
            self.problems = problems

    @property
    def id(self) -> str:
        """The record's id in its source, always a string."""
        value = _get(self, "id") or self.get("id")
        return value if type(value) is str else str(value or "")

    def problem(self, field: str) -> str | None:
        """Why the field's value could not be read; reads that field alone."""
        kin = self.kin
        if kin is None:
            return self.problems.get(field)
        if not _has(self, field):
            kin[0].find(self, kin[1], field)
        return self.notes.get(field)

    # -- one field -------------------------------------------------------------------------------------------------------

    def __missing__(self, key: str) -> Any:
        kin = self.kin
        value = _ABSENT if kin is None else kin[0].find(self, kin[1], key)
        if value is _ABSENT:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The field's value, or ``default`` where there is no such field."""
        value = _get(self, key, _ABSENT)
        if value is _ABSENT:
            kin = self.kin
            if kin is None:
                return default
            value = kin[0].find(self, kin[1], key)
            if value is _ABSENT:
                return default
        return value

    def __contains__(self, key: object) -> bool:
        if _has(self, key):
            return key is not _MARK
        kin = self.kin
        return kin is not None and isinstance(key, str) and kin[0].has(self, kin[1], key)

    def __bool__(self) -> bool:
        return True if self.kin is not None else len(self) > 0

    # -- all of them -----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        self.read()
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[str]:
        self.read()
        return dict.__reversed__(self)

    def __len__(self) -> int:
        self.read()
        return dict.__len__(self)

    def __eq__(self, other: object) -> bool:
        self.read()
        if isinstance(other, LazyRecord):
            other.read()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self.read()
        return dict.__repr__(self)

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __ior__(self, other: Any) -> Any:
        self.read()
        return dict.__ior__(self, other)

    def __delitem__(self, key: str) -> None:
        self.read()
        dict.__delitem__(self, key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.entity, dict(self), self.raw, self.where, self.problems)

    def keys(self) -> Any:
        """The names of all fields."""
        self.read()
        return dict.keys(self)

    def values(self) -> Any:
        """The values of all fields."""
        self.read()
        return dict.values(self)

    def items(self) -> Any:
        """All fields with their values."""
        self.read()
        return dict.items(self)

    def copy(self) -> dict[str, Any]:
        """All fields in a dictionary of their own."""
        return dict(self)

    def pop(self, *args: Any) -> Any:
        """As a dictionary does."""
        self.read()
        return dict.pop(self, *args)

    def popitem(self) -> tuple[str, Any]:
        """As a dictionary does."""
        self.read()
        return dict.popitem(self)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As a dictionary does."""
        self.read()
        return dict.setdefault(self, key, default)

    def update(self, *args: Any, **values: Any) -> None:
        """As a dictionary does."""
        self.read()
        dict.update(self, *args, **values)

    def clear(self) -> None:
        """As a dictionary does."""
        self.read()
        dict.clear(self)


def _again(entity: str, fields: Mapping[str, Any], raw: Mapping[str, Any], where: str, problems: Mapping[str, str]) -> Record:
    return Record(entity, fields, raw=raw, where=where, problems=problems)


def _complete_names(fields: dict[str, Any]) -> None:
    name, first, last = fields.get("name"), fields.get("first_name"), fields.get("last_name")
    if not name:
        if first or last:
            fields["name"] = " ".join(filter(None, (first, last)))
    elif not (first and last) and fields.get("person_type") != "company" and (halves := _halves(name)):
        if not first:
            fields["first_name"] = halves[0]
        if not last:
            fields["last_name"] = halves[1] or None


def _halves(name: str) -> tuple[str, str]:
    """First name and last surname of a person's full name; ``Silva, Ana`` is read the other way round."""
    words = name.split()
    if "," in name:
        last, _, first = name.partition(",")
        if first.strip():
            words = [*first.split(), *last.split()]
    return words[0], words[-1] if len(words) > 1 else ""
