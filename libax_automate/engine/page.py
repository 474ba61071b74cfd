"""One self-contained page that shows a plan or a backtest to somebody who has no terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from html import escape

from libax_automate.engine.outbox import Draft, Verdict

#: people listed by name; beyond, they are counted
_LISTED = 500
#: different reasons that are counted; only the most frequent are shown
_REASONS = 10_000

_STYLE = """
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:#1d2329;background:#fff;margin:2rem auto;max-width:62rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.sub{color:#5a6572;margin:0 0 1.5rem}
.sums{display:flex;gap:1rem;flex-wrap:wrap}.sums div{border:1px solid #d8dee4;border-radius:8px;padding:.6rem 1rem;min-width:7rem}
.sums b{display:block;font-size:1.6rem}table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e6eaee;vertical-align:top}th{color:#5a6572;font-weight:600}
td.n{text-align:right;font-variant-numeric:tabular-nums}.bar{background:#2f6f9f;height:.8rem;border-radius:2px;min-width:1px}
pre,iframe{border:1px solid #d8dee4;border-radius:8px;background:#f7f9fb;padding:.8rem;white-space:pre-wrap;width:100%;box-sizing:border-box}
.excluded{color:#9a3412}.held{color:#92640a}.send{color:#20713f}@media(prefers-color-scheme:dark){body{background:#15191d;color:#e6eaee}
th,p.sub{color:#9fb0bf}.sums div,pre,iframe{border-color:#37424c;background:#1d2329}th,td{border-color:#2b343c}}
"""


class Page:
    """Gathers a plan's people as they stream by; keeps counts of all and rows of the first hundreds."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._samples: dict[tuple[str, str], Draft] = {}
        self._further: list[Draft] = []

    def add(self, draft: Draft) -> None:
        """One person of the plan."""
        self._verdicts[draft.verdict] += 1
        if draft.verdict is Verdict.EXCLUDED:
            if draft.reason in self._reasons or len(self._reasons) < _REASONS:
                self._reasons[draft.reason] += 1
        else:
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

    def html(self, *, title: str, subtitle: str) -> str:
        """The page, with no reference to anything outside itself."""
        parts = [_head(title, subtitle), '<div class="sums">']
        for verdict, words in ((Verdict.SEND, "to send"), (Verdict.HELD, "held"), (Verdict.EXCLUDED, "excluded")):
            parts.append(f'<div class="{verdict}"><b>{self._verdicts[verdict]}</b>{words}</div>')
        parts.append("</div>")
        if self._reasons:
            parts.append("<h2>Why some hear nothing</h2>" + _counts(self._reasons.most_common(20)))
        for draft in [*self._samples.values(), *self._further]:
            step, channel = draft.step, str(draft.channel or "")
            if not channel:
                continue  # a line of a file has no words
            parts.append(
                f"<h2>{escape(step or 'The message')} by {escape(channel)}, as {escape(draft.name or draft.person)} would get it</h2>"
            )
            if draft in self._further:
                parts.append('<p class="sub">Nobody is at this step in this plan.</p>')
            if draft.subject:
                parts.append(f"<p><b>{escape(draft.subject)}</b></p>")
            if draft.payload.get("html"):
                # sandboxed without scripts, forms or its own origin: a template's HTML shows, and does nothing
                parts.append(
                    f'<iframe sandbox="" title="sample" height="420" srcdoc="{escape(str(draft.payload["html"]), quote=True)}"></iframe>'
                )
            parts.append(f"<pre>{escape(draft.text)}</pre>")
        parts.append("<h2>Who</h2>" + table(("name", "address", "channel", "verdict", "reason"), self._rows))
        if (rest := self._verdicts.total() - len(self._rows)) > 0:
            parts.append(f"<p>… and {rest} more.</p>")
        return "".join([*parts, "</body></html>"])


def chart(days: Sequence[tuple[date, int]]) -> str:
    """Messages per day as bars, for a page."""
    most = max((count for _, count in days), default=0) or 1
    rows = "".join(
        f'<tr><td>{day.isoformat()}</td><td class="n">{count}</td><td style="width:70%"><div class="bar" style="width:{100 * count / most:.1f}%">'
        "</div></td></tr>"
        for day, count in days
    )
    return f"<table><tr><th>day</th><th>messages</th><th></th></tr>{rows}</table>"


def document(*, title: str, subtitle: str, sections: Iterable[tuple[str, str]]) -> str:
    """A page of sections, (heading, HTML)."""
    body = "".join(f"<h2>{escape(heading)}</h2>{content}" for heading, content in sections)
    return f"{_head(title, subtitle)}{body}</body></html>"


def _head(title: str, subtitle: str) -> str:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'"
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f'<body><h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p>'
    )


def _counts(rows: Iterable[tuple[str, int]]) -> str:
    cells = "".join(f'<tr><td class="n">{count}</td><td>{escape(what)}</td></tr>' for what, count in rows)
    return f"<table>{cells}</table>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of plain texts, escaped."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="{escape(cell) if cell in _WORDS else ""}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(text: str) -> str:
    return f'<td class="{text}">{text}</td>' if text in _WORDS else f"<td>{escape(text)}</td>"


_WORDS = frozenset(str(each) for each in Verdict)
