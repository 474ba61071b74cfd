"""Payment references: each asked for once ever, and kept (LX-28)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from libax_automate.connector import Reference
from libax_automate.engine.store.database import Database


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one invoice's reference: None where a call for it began, and nobody saw its end."""

    reference: Reference | None


class Payments:
    """Verbs on payment references."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def get(self, profile: str, app: str, our_id: str) -> Kept | None:
        """What is kept for an id; None where no reference was ever asked for."""
        row = self.db.row(
            "SELECT at, entity, reference, amount, currency, due, provider_id FROM payment_references "
            "WHERE profile = ? AND app = ? AND our_id = ?",
            (profile, app, our_id),
        )
        if row is None:
            return None
        at, entity, reference, amount, currency, due, provider_id = row
        if at is None:
            return Kept(None)
        day = date.fromisoformat(due) if due else None
        return Kept(Reference(our_id, entity, reference, Decimal(amount), currency=currency, due=day, provider_id=provider_id))

    def intend(self, profile: str, app: str, our_id: str, now: float) -> None:
        """Write down, before the call, that it is about to be made."""
        with self.db.write() as conn:
            conn.execute(
                "INSERT INTO payment_references(profile, app, our_id, intended_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(profile, app, our_id) DO UPDATE SET intended_at = excluded.intended_at WHERE at IS NULL",
                (profile, app, our_id, now),
            )

    def keep(self, profile: str, app: str, our_id: str, made: Reference, now: float) -> None:
        """Keep what was made; a reference that is already there stays."""
        with self.db.write() as conn:
            conn.execute(
                "UPDATE payment_references SET entity = ?, reference = ?, amount = ?, currency = ?, due = ?, provider_id = ?, at = ? "
                "WHERE profile = ? AND app = ? AND our_id = ? AND at IS NULL",
                (
                    made.entity, made.reference, str(made.amount), made.currency, made.due.isoformat() if made.due else None,
                    made.provider_id, now, profile, app, our_id,
                ),
            )  # fmt: skip

    def withdraw(self, profile: str, app: str, our_id: str) -> None:
        """Take back an intention of which nothing came for sure."""
        with self.db.write() as conn:
            conn.execute(
                "DELETE FROM payment_references WHERE profile = ? AND app = ? AND our_id = ? AND at IS NULL", (profile, app, our_id)
            )
