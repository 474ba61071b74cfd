"""One self-contained page that shows a plan or a backtest to somebody who has no terminal: on a screen, on a telephone, on paper.

What a page says itself is in the language of its profile, and so are reasons, dates and numbers; what the profile and its source say is theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from html import escape

from libax_automate.engine.language import Language
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.paper import LATER as NUMBER_LATER
from libax_automate.engine.reason import reason
from libax_automate.engine.reference import LATER as REFERENCE_LATER
from libax_automate.engine.segments import size_of
from libax_automate.message import Channel

#: people listed by name; beyond, they are counted
_LISTED = 500
#: different reasons that are counted; only the most frequent are shown
_REASONS, _SHOWN = 10_000, 20

_STYLE = """
:root{--ink:#1d2329;--soft:#5a6572;--line:#d8dee4;--fine:#e6eaee;--wash:#f7f9fb;--paper:#fff;--bar:#2f6f9f;--no:#9a3412;--wait:#92640a;--yes:#20713f}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#9fb0bf;--line:#37424c;--fine:#2b343c;--wash:#1d2329;--paper:#15191d;
--bar:#6aa9d8;--no:#f0a080;--wait:#e0b866;--yes:#7fcf9d}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:var(--ink);background:var(--paper);
margin:2rem auto;max-width:62rem;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;line-height:1.3;margin:2rem 0 .5rem;overflow-wrap:anywhere}
p.sub{color:var(--soft);margin:0 0 1rem}h2+p.sub{margin:-.3rem 0 .5rem}.sample p.sub{margin:.3rem 0}
.sums{display:grid;grid-template-columns:repeat(auto-fit,minmax(6.2rem,1fr));gap:.7rem;margin:1.2rem 0}
.sums div{border:1px solid var(--line);border-radius:8px;padding:.5rem .8rem}
.sums b{display:block;font-size:1.6rem;line-height:1.3;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--fine);vertical-align:top;overflow-wrap:break-word}
th{color:var(--soft);font-weight:600;overflow-wrap:normal}td:first-child,th:first-child{padding-left:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}.d{white-space:nowrap;overflow-wrap:normal}
.few{width:auto;min-width:min(24rem,100%)}td.w{width:70%;vertical-align:middle}
.bar{background:var(--bar);height:.8rem;border-radius:2px;min-width:1px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
pre,iframe,ol.values{border:1px solid var(--line);border-radius:8px;background:var(--wash);padding:.8rem;width:100%;margin:.5rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}ol.values{padding-left:2.4rem}iframe{background:#fff;resize:vertical}
.who td:nth-child(2){overflow-wrap:anywhere}td.excluded,td.held,td.send{white-space:nowrap}
.excluded{color:var(--no)}.held{color:var(--wait)}.send{color:var(--yes)}
@media screen and (max-width:40rem){body{margin:1.2rem auto}.four{grid-template-columns:1fr 1fr}
.who thead{display:none}.who tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
.who td{display:block;border:0;padding:.05rem 0}.who td:first-child{font-weight:600}.who td:empty{display:none}td.w{width:50%}}
@media print{@page{margin:16mm}body{margin:0;max-width:none;padding:0;font-size:10.5pt}h2{break-after:avoid}
tr,pre,ol.values,iframe,.sums,.few,.sample:not(.tall){break-inside:avoid}iframe{resize:none}thead{display:table-header-group}}
"""


class Page:
    """Gathers a plan's people as they stream by; keeps counts of all and rows of the first hundreds."""

    def __init__(self, lang: Language) -> None:
        self._lang = lang
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._waits: Counter[str] = Counter()
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._samples: dict[tuple[str, str], Draft] = {}
        self._further: list[Draft] = []

    def add(self, draft: Draft) -> None:
        """One person of the plan."""
        self._verdicts[draft.verdict] += 1
        if draft.verdict is not Verdict.SEND:
            reasons = self._reasons if draft.verdict is Verdict.EXCLUDED else self._waits
            if draft.reason in reasons or len(reasons) < _REASONS:
                reasons[draft.reason] += 1
        if draft.verdict is not Verdict.EXCLUDED:
            self._samples.setdefault((draft.step, str(draft.channel)), draft)
        if len(self._rows) < _LISTED:
            self._rows.append((draft.name or draft.person, draft.to, str(draft.channel or ""), str(draft.verdict), draft.reason))

    @property
    def steps(self) -> frozenset[str]:
        """The steps of which there is a sample."""
        return frozenset(step for step, _ in self._samples)

    def sample(self, draft: Draft) -> None:
        """What a step that reaches nobody in this plan would say."""
        self._further.append(draft)

    def html(self, *, title: str, moment: datetime, description: str = "", about: Mapping[str, str] | None = None) -> str:
        """The page, with no reference to anything outside itself; ``about`` has the profile's own words for its steps.

        ``moment`` is the wall time that the plan is for.
        """
        lang, said = self._lang, about or {}
        words = (
            (Verdict.SEND, lang.text("page.send")),
            (Verdict.HELD, lang.text("page.held")),
            (Verdict.EXCLUDED, lang.text("page.excluded")),
        )
        figures = [(str(verdict), self._verdicts[verdict], word) for verdict, word in words]
        subtitle = " · ".join(filter(None, (lang.datetime(moment), description)))
        parts = [_head(lang, title, subtitle), sums(lang, figures)]
        for heading, counted in (("page.why_not", self._reasons), ("page.why_later", self._waits)):
            if counted:
                parts.append(f"<h2>{escape(lang.text(heading))}</h2>{counts(lang, counted)}")
        parts += [sample(lang, draft, said.get(draft.step, "")) for draft in self._samples.values()]
        parts += [sample(lang, draft, said.get(draft.step, ""), lang.text("page.nobody")) for draft in self._further]
        if self._rows:
            who = lang.text("page.who")
            parts.append(f"<h2>{escape(who)}</h2>{self._who()}")
        if (rest := self._verdicts.total() - len(self._rows)) > 0:
            parts.append(more(lang, rest))
        return "".join([*parts, "</main></body></html>"])

    def _who(self) -> str:
        lang = self._lang
        marks = {lang.text(f"verdict.{verdict}"): str(verdict) for verdict in Verdict}
        rows = (
            (name, to, channel and lang.text(f"channel.{channel}"), lang.text(f"verdict.{verdict}"), reason(lang.locale, why))
            for name, to, channel, verdict, why in self._rows
        )
        return table(lang, ("name", "address", "channel", "verdict", "reason"), rows, kind="who", marks=marks)


def sample(lang: Language, draft: Draft, *notes: str) -> str:
    """What one person would read; nothing where there are no words to read."""
    if not draft.channel or draft.channel is Channel.ACTION:
        return ""
    step, channel = draft.step or lang.text("page.message"), lang.text(f"channel.{draft.channel}")
    heading = lang.text("page.sample", step=step, channel=channel, name=draft.name or draft.person)
    parts = [f"<h2>{escape(heading)}</h2>", *(f'<p class="sub">{escape(note)}</p>' for note in notes if note)]
    if draft.subject:
        parts.append(f"<p><b>{escape(_shown(lang, draft.subject))}</b></p>")
    payload = draft.payload
    if payload.get("html"):
        # sandboxed without scripts, forms or its own origin: a template's HTML shows, and does nothing
        height = min(600, 180 + 30 * str(payload.get("text") or "").count("\n"))
        frame = escape(_shown(lang, str(payload["html"])), quote=True)
        parts.append(f'<iframe sandbox="" title="{escape(lang.text("page.example"))}" height="{height}" srcdoc="{frame}"></iframe>')
    if payload.get("text"):
        text = str(payload["text"])
        parts.append(f"<pre>{escape(_shown(lang, text))}</pre>")
        if draft.channel is Channel.SMS:
            size = size_of(text)
            length = lang.text("page.length", count=lang.number(len(text)), segments=lang.number(size.segments), encoding=size.encoding)
            parts.append(f'<p class="sub">{escape(length)}</p>')
    elif payload.get("template"):
        filled = lang.text("page.template", template=payload["template"])
        parts.append(f'<p class="sub">{escape(filled)}</p>{_values(lang, draft)}')
    elif not payload.get("html"):
        parts.append(f"<pre>{escape(_shown(lang, draft.text))}</pre>")
    return f'<section class="sample{" tall" if payload.get("html") else ""}">{"".join(parts)}</section>'


def _shown(lang: Language, text: str) -> str:
    """A message's text; what only a real run knows is said in the page's language."""
    return text.replace(REFERENCE_LATER, lang.text("page.at_run")).replace(NUMBER_LATER, lang.text("page.numbered"))


def _values(lang: Language, draft: Draft) -> str:
    params = draft.payload.get("params") or {}
    if params:
        rows = [(str(name), _shown(lang, str(value))) for name, value in params.items()]
        return table(lang, ("variable", "value"), rows, kind="few")
    values = "".join(f"<li>{escape(_shown(lang, str(value)))}</li>" for value in draft.payload.get("vars") or ())
    return f'<ol class="values">{values}</ol>' if values else ""


def chart(lang: Language, unit: str, bars: Sequence[tuple[date, int]]) -> str:
    """Messages over time as bars, one a row: ``unit`` is what a row stands for, ``day``, ``week`` or ``month``, and each has its first day."""
    most = max((count for _, count in bars), default=0) or 1
    rows = "".join(
        f'<tr><td class="d">{escape(lang.label(first, month=unit == "month"))}</td><td class="n">{lang.number(count)}</td>'
        f'<td class="w">{_bar(100 * count / most) if count else ""}</td></tr>'
        for first, count in bars
    )
    heads = f'<th>{escape(lang.text(f"column.{unit}"))}</th><th class="n">{escape(lang.text("column.messages"))}</th><th></th>'
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _bar(percent: float) -> str:
    return f'<div class="bar" style="width:{percent:.1f}%"></div>'


def document(lang: Language, *, title: str, subtitle: str, sections: Iterable[tuple[str, str]]) -> str:
    """A page of sections, (heading, HTML); one without a heading stands by itself."""
    body = "".join((f"<h2>{escape(heading)}</h2>" if heading else "") + content for heading, content in sections)
    return f"{_head(lang, title, subtitle)}{body}</main></body></html>"


def _head(lang: Language, title: str, subtitle: str) -> str:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'"
    return (
        f'<!DOCTYPE html><html lang="{escape(lang.tag)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body><main><h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p>'
    )


def sums(lang: Language, figures: Iterable[tuple[str, int, str]]) -> str:
    """The figures that matter, side by side: (class, number, words)."""
    cells = [f'<div class="{kind}"><b>{lang.number(number)}</b>{escape(words)}</div>' for kind, number, words in figures]
    return f'<div class="sums{" four" if len(cells) == 4 else ""}">{"".join(cells)}</div>'


def counts(lang: Language, reasons: Counter[str]) -> str:
    """Reasons by how often, the most frequent of them."""
    shown = reasons.most_common(_SHOWN)
    cells = "".join(
        f'<tr><td class="n">{lang.number(number)}</td><td>{escape(reason(lang.locale, why))}</td></tr>' for why, number in shown
    )
    rest = reasons.total() - sum(number for _, number in shown)
    others = f'<p class="sub">{escape(lang.text("page.other", count=lang.number(rest)))}</p>' if rest else ""
    return f'<table class="few"><tbody>{cells}</tbody></table>{others}'


def more(lang: Language, number: int) -> str:
    """How many a list does not name."""
    return f'<p class="sub">{escape(lang.text("page.more", count=lang.number(number)))}</p>'


def table(
    lang: Language, columns: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "", marks: Mapping[str, str] | None = None
) -> str:
    """Rows of plain texts, escaped, under the names that the catalogue has for ``columns``; one without a name stands under nothing.

    Messages are numbers, and stand below each other; ``marks`` says how verdicts look.
    """
    looks = ["n" if each == "messages" else "d" if each == "day" else "" for each in columns]
    heads = [(look, lang.text(f"column.{each}") if each else "") for each, look in zip(columns, looks, strict=True)]
    head = "".join(f"<th{_class(look)}>{escape(words)}</th>" for look, words in heads)
    places = list(zip(columns, looks, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_class((marks or {}).get(cell, '') if column == 'verdict' else look)}>{escape(cell)}</td>"
            for cell, (column, look) in zip(row, places, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table{_class(kind)}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
