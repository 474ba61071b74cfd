"""What the ledger knows of persons across models: who heard what lately, and who agreed to hear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from libax_automate.engine.store.database import Database


@dataclass(frozen=True, slots=True)
class Heard:
    """One message to a person that left, or is about to."""

    person: str
    model: str
    step: str
    at: float
    message_id: int


class People:
    """Verbs on persons."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def heard(self, profile: str, since: float) -> Iterator[Heard]:
        """Messages to people of a profile that were sent since an instant, or that wait; calls and actions of programs apart."""
        for where in (
            "m.ended_at >= :since AND m.state = 'sent'",
            "m.state IN ('waiting')",
            "m.state IN ('sending', 'failed', 'in_doubt')",
        ):
            rows = self.db.conn.execute(
                "SELECT m.person, s.name, m.step, coalesce(m.ended_at, m.created_at), m.id FROM messages m JOIN models s ON s.id = m.model_id "
                f"WHERE {where} AND s.profile = :profile AND s.system = 0 AND m.channel IN ('email', 'sms', 'whatsapp')",
                {"since": since, "profile": profile},
            )
            for row in rows:
                yield Heard(*row)

    def record_consent(
        self, profile: str, person: str, answer: str, at: float, *, channel: str = "", text_version: str = "", source: str = ""
    ) -> int:
        """Write an answer down; earlier ones stay. Returns its number."""
        with self.db.write() as conn:
            cursor = conn.execute(
                "INSERT INTO consents(profile, person, answer, at, channel, text_version, source) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (profile, person, answer, at, channel, text_version, source),
            )
            return int(cursor.lastrowid or 0)

    def consents(self, profile: str) -> dict[str, str]:
        """The latest answer of each person."""
        rows = self.db.rows("SELECT person, answer FROM consents WHERE profile = ? ORDER BY id", (profile,))
        return {str(person): str(answer) for person, answer in rows}

    def consent_history(self, profile: str, person: str | None = None) -> list[tuple[int, str, str, float, str, str, str]]:
        """All answers (of a person), oldest first: (number, person, answer, at, channel, version of the text, source)."""
        where, values = ("AND person = ?", (profile, person)) if person is not None else ("", (profile,))
        return self.db.rows(
            f"SELECT id, person, answer, at, channel, text_version, source FROM consents WHERE profile = ? {where} ORDER BY id", values
        )
