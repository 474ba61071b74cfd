"""What one message says, compiled once per model or step: subject, text, HTML, or a provider's template with its values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from libax_automate.engine.plaintext import text_source
from libax_automate.engine.spec import Defaults, Wording
from libax_automate.errors import EmptyValue, TemplateError
from libax_automate.message import Channel
from libax_automate.placeholder import field_of, listed
from libax_automate.template import Sandbox, Template

_BREAKS = re.compile(r"[\r\n\0]")
_MARKS = ("{{", "{%", "#")


class NotSayable(Exception):
    """A message that cannot be made of this person's values; the text is the reason, for people."""


def _compile(sandbox: Sandbox, key: str, source: str, *, html: bool = False) -> Template:
    try:
        return sandbox.template(source, html)
    except TemplateError as error:
        raise TemplateError(f"{key}: {error.message}", hint=error.hint) from None


def _variable(sandbox: Sandbox, key: str, source: str) -> Template:
    """One value for a provider's template: a field's name in any spelling, or a template."""
    if not any(mark in source for mark in _MARKS):
        source = "{{ " + field_of(source.strip()) + " }}"
    return _compile(sandbox, key, source)


class Compiled:
    """A :class:`Wording` ready to be rendered for ``channel``; raises TemplateError naming the key that is wrong."""

    def __init__(
        self, wording: Wording, channel: Channel, sandbox: Sandbox, *, defaults: Defaults, generic_subject: str, language: str
    ) -> None:
        self._max_chars = wording.max_chars
        # a look at an Enum's member for every message costs more than the comparison
        self._is_email = channel is Channel.EMAIL
        email = channel is Channel.EMAIL
        self._parts: list[tuple[str, Template]] = []
        if email and (wording.subject or not wording.template):
            self._parts.append(("subject", _compile(sandbox, "subject", (wording.subject or "").strip() or generic_subject)))
        text = wording.text if wording.text or not wording.html else text_source(wording.html)
        if text:
            self._parts.append(("text", _compile(sandbox, "text", text)))
        if email and wording.html:
            self._parts.append(("html", _compile(sandbox, "html", wording.html, html=True)))
        sources = [part for source in wording.vars for part in listed(source)]
        self._vars = [_variable(sandbox, f"vars[{number}]", source) for number, source in enumerate(sources, 1)]
        self._params = {name: _variable(sandbox, f"params.{name}", source) for name, source in wording.params.items()}
        self._static = _static(wording, email=email, defaults=defaults, language=language)
        #: the text, where a message is nothing else
        alone = not (email or self._vars or self._params) and self._max_chars is None and [key for key, _ in self._parts] == ["text"]
        self._alone = self._parts[0][1] if alone else None
        #: dotted fields by the key that names them
        self.fields: dict[str, tuple[str, ...]] = {key: template.order for key, template in self._templates()}

    def _templates(self) -> Iterator[tuple[str, Template]]:
        yield from self._parts
        for number, template in enumerate(self._vars, 1):
            yield f"vars[{number}]", template
        for name, template in self._params.items():
            yield f"params.{name}", template

    def empties(self, context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(key, field) of each part that needs a value which is empty; of fields of fields, the first of each part."""
        for key, template in self._templates():
            filled = dict(context)
            while True:
                try:
                    template.render(filled)
                except EmptyValue as error:
                    yield key, error.field
                    if filled.get(error.field, "-") == "-":
                        break
                    filled[error.field] = "-"  # on to the next
                except TemplateError:
                    break  # not for want of a value
                else:
                    break

    def payload(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """The channel's fields for one person; raises EmptyValue, UnknownField, TemplateError, and NotSayable with the reason."""
        if self._alone is not None:
            return {**self._static, "text": self._alone.render(context).strip()}
        made: dict[str, Any] = dict(self._static)
        for key, template in self._parts:
            made[key] = template.render(context)
        if not self._is_email and "text" in made:
            made["text"] = made["text"].strip()  # a line break at its end costs a character of 160
        if self._vars:
            made["vars"] = [template.render(context).strip() for template in self._vars]
        if self._params:
            made["params"] = {name: template.render(context).strip() for name, template in self._params.items()}
        if subject := made.get("subject"):
            # a header carries no line break (RFC 5322 §2.2); a value with one is no subject
            made["subject"] = subject = subject.strip()
            if not subject.isprintable() and _BREAKS.search(subject):
                raise NotSayable("subject holds a line break")
        if self._max_chars is not None and len(text := made.get("text", "").rstrip("\n")) > self._max_chars:
            raise NotSayable(f"text is {len(text)} characters, max_chars is {self._max_chars}")
        return made


def _static(wording: Wording, *, email: bool, defaults: Defaults, language: str) -> dict[str, Any]:
    """The part of a payload that is the same for everybody."""
    made: dict[str, Any] = {"template": wording.template, "sender": wording.sender}
    if email:
        made |= {
            "reply_to": wording.reply_to or defaults.reply_to,
            "cc": list(wording.cc),
            "bcc": list(wording.bcc),
            "attachments": list(wording.attachments),
        }
    else:
        extra = dict(wording.extra)
        made |= {"language": str(extra.pop("language", "") or language) if wording.template else "", "extra": extra}
    return {key: value for key, value in made.items() if value}
