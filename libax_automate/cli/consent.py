"""``automate consent``: the ledger of who agreed to hear from us, and when, over what, in answer to which text (LX-25)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count, instant, local
from libax_automate.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

app = noun()

Channel = Annotated[str, typer.Option("--channel", metavar="CHANNEL", help="By which way the answer came: email, phone, form, paper …")]
Version = Annotated[str, typer.Option("--text-version", metavar="NAME", help="Which wording was answered.")]
Source = Annotated[str, typer.Option("--source", metavar="TEXT", help="Where the answer is kept: a form, a letter, a call.")]


def _profile(session: Session) -> Profile:
    profiles = session.space.profiles
    if len(profiles) > 1:
        raise UsageError("the ledger belongs to one profile", hint=f"add --profile: {', '.join(sorted(session.space.names))}")
    return profiles[0]


@command(app)
def record(  # noqa: PLR0917 - the parser passes them by name
    session: Session,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id in the source.")],
    answer: Annotated[str, typer.Argument(metavar="ANSWER", help="yes, no, or the answer in its own words.")],
    channel: Channel = "",
    text_version: Version = "",
    source: Source = "by hand",
) -> None:
    """Write an answer down; earlier ones stay, the latest counts."""
    profile = _profile(session)
    space = session.space
    number = space.store.people.record_consent(
        profile.name, person, answer.strip(), space.now(), channel=channel, text_version=text_version, source=source
    )
    if session.out.json:
        session.out.object({"number": number, "profile": profile.name, "person": person, "answer": answer.strip()})
    else:
        session.out.line(f"{number}: {person}: {answer.strip()}")


def _items(session: Session, person: str | None) -> list[dict[str, Any]]:
    store = session.space.existing_store()
    return [
        {
            "number": number, "profile": profile.name, "person": who, "answer": answer, "at": instant(at), "channel": channel,
            "text_version": version, "source": source,
        }
        for profile in session.space.profiles
        for number, who, answer, at, channel, version, source in (store.people.consent_history(profile.name, person) if store else [])
    ]  # fmt: skip


_COLUMNS = (Column("number", right=True), Column("person"), Column("answer"), Column("channel"), Column("text_version"), Column("source"))


@command(app, "list")
def list_(
    session: Session, person: Annotated[str | None, typer.Option("--person", metavar="PERSON", help="This person alone.")] = None
) -> None:
    """Show the answers, oldest first."""
    when = Column("at", show=lambda text: local(text, session.zone))
    session.out.items(_items(session, person), [*_COLUMNS, when], empty="nobody has answered")


@command(app)
def export(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV to write.")],
    person: Annotated[str | None, typer.Option("--person", metavar="PERSON", help="This person alone.")] = None,
) -> None:
    """Write the answers (of one person) as a CSV: what a subject's request asks for."""
    from libax_automate.cli.plan import write_page
    from libax_automate.engine.sheet import sheet

    items = _items(session, person)
    heads = ("number", "person", "answer", "at", "channel", "text_version", "source")
    write_page(file, sheet(heads, ([item[head] for head in heads] for item in items)))
    if session.out.json:
        session.out.object({"file": str(file), "answers": len(items)})
    else:
        session.out.line(f"{count(len(items), 'answer')} written to {file}")


@command(app, "import")
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV with the columns person and answer.")],
    channel: Channel = "",
    text_version: Version = "",
    source: Source = "",
) -> None:
    """Write down the answers of a file; rows without person or answer are named and left out."""
    profile = _profile(session)
    space = session.space
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            delimiter = ";" if ";" in handle.readline() else ","
            handle.seek(0)
            rows = list(csv.DictReader(handle, delimiter=delimiter))
    except OSError as error:
        raise InputDataError(f"{file}: {error.strerror}", hint="correct the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputDataError(f"{file}: cannot be read as CSV ({error})", hint="save it as UTF-8 CSV") from None
    if rows and not {"person", "answer"} <= rows[0].keys():
        raise InputDataError(f"{file}: has no columns person and answer", hint=f"its columns are: {', '.join(map(str, rows[0]))}")
    kept = 0
    with space.store.write():
        for number, row in enumerate(rows, 2):
            person, answer = (str(row.get(name) or "").strip() for name in ("person", "answer"))
            if not person or not answer:
                session.out.warn(f"{file}:{number}: has no {'person' if not person else 'answer'}")
                continue
            space.store.people.record_consent(
                profile.name, person, answer, space.now(), channel=str(row.get("channel") or channel),
                text_version=str(row.get("text_version") or text_version), source=str(row.get("source") or source or file.name),
            )  # fmt: skip
            kept += 1
    if session.out.json:
        session.out.object({"profile": profile.name, "answers": kept, "left_out": len(rows) - kept})
    else:
        session.out.line(f"{count(kept, 'answer')} written down")
