"""For whom a model is: the words of ``audience`` (LX-48, LX-49, IB-10, IB-11), each a test of one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from libax_automate.errors import ProfileError

#: A record whose status its source does not know counts as active, and one whose type it does not know as a person: many
#: sources have neither column, and a list without it is a list of customers.
WORDS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "active": lambda record: "inactive" if record.get("status") == "inactive" else None,
    "inactive": lambda record: None if record.get("status") == "inactive" else "active",
    "person": lambda record: "a company" if record.get("person_type") == "company" else None,
    "company": lambda record: None if record.get("person_type") == "company" else "a person",
    "no-mobile": lambda record: "has a mobile" if record.get("mobile") else None,
    "no-email": lambda record: "has an e-mail" if record.get("email") else None,
}


class Audience:
    """All ``words`` must hold; ``all`` and no word at all let everybody in. Raises ProfileError on a word it does not know."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        wanted = [word for word in words if word != "all"]
        for word in wanted:
            if word not in WORDS:
                raise ProfileError(f"{word!r} is no audience", hint=f"the words are {', '.join(WORDS)}, all")
        self.words = tuple(wanted)
        self._tests = tuple(WORDS[word] for word in wanted)

    def verdict(self, record: Mapping[str, Any]) -> str | None:
        """Why ``record`` is left out, in plain words (``a company``); None when it is in."""
        for test in self._tests:
            if (reason := test(record)) is not None:
                return reason
        return None
