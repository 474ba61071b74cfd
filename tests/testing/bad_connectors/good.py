"""One good plugin of each kind, and the contract subclasses that the bad ones are held to as well."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.normalise import canonical
from libax_automate.testing import ActionContract, ModelContract, ReferencerContract, Reply, SenderContract, SourceContract

from . import case


class Options(ax.Options):
    token: ax.Secret
    base_url: str = "https://api.postbox.example"


class Api(ax.Connector[Options]):
    credentials = "Under Settings, API keys."

    def open(self) -> None:
        self.api = ApiClient(
            self.options.base_url,
            headers={"Authorization": f"Bearer {self.options.token.get_secret_value()}"},
            secrets=[self.options.token],
            allow_private=self.place.allow_private,
        )

    def close(self) -> None:
        if hasattr(self, "api"):
            self.api.close()

    def check(self) -> None:
        self.api.get("/account")


def receipt_of(reply: Any, *path: str | int) -> ax.Receipt:
    try:
        found = reply.json()
        for step in path:
            found = found[step]
    except (ValueError, LookupError, TypeError):
        found = None
    return ax.Receipt(ax.Status.QUEUED, id=str(found) if isinstance(found, str | int) and found != "" else None)


class PostboxContract(SenderContract):
    accepted = Reply(202, {"id": "m-1"})
    rejected = Reply(422, {"error": "bad recipient"})
    accepted_batch = Reply(202, {"outcomes": [{"id": "1"}, {"id": "2"}, {"id": "3"}]})
    partial_batch = Reply(202, {"outcomes": [{"id": "1"}, {"error": "bad recipient"}, {"id": "3"}]})
    template_replies = (
        Reply(200, {"items": [{"id": 1, "name": "a", "active": True}], "next": 2}),
        Reply(200, {"items": [{"id": 2, "name": "b", "active": False}]}),
    )
    found = Reply(200, {"items": [{"id": "m-1"}]})
    not_found = Reply(200, {"items": []})
    balance_reply = Reply(200, {"credits": "12.50"})

    def options(self, url: str) -> Mapping[str, Any]:
        return {"token": "s3cret-never-shown", "base_url": url}


class PostboxBase(Api, ax.Sender[Options, ax.Email | ax.Text]):
    capabilities = frozenset({ax.Capability.EMAIL, ax.Capability.SMS})

    def body(self, message: ax.Email | ax.Text) -> dict[str, Any]:
        files = message.attachments if isinstance(message, ax.Email) else ()
        sent = [{"name": file.name, "content": b64encode(file.content).decode()} for file in files]
        return {"to": message.to, "text": message.text, "ref": message.key, **({"files": sent} if sent else {})}

    def send(self, message: ax.Email | ax.Text) -> ax.Receipt:
        return receipt_of(self.api.post("/messages", json=self.body(message)), "id")


@case(PostboxContract)
class Postbox(PostboxBase):
    """A sender that keeps every promise, with all that a sender may offer."""

    capabilities = frozenset(
        {
            *(ax.Capability.EMAIL, ax.Capability.SMS, ax.Capability.BATCH, ax.Capability.TEMPLATES, ax.Capability.LOOKUP),
            *(ax.Capability.BALANCE, ax.Capability.IDEMPOTENCY_KEY, ax.Capability.ATTACHMENTS),
        }
    )
    batch_size = 100
    idempotency_ttl = timedelta(minutes=30)

    def send_batch(self, messages: Sequence[ax.Email | ax.Text]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        reply = self.api.post("/batches", json=[self.body(message) for message in messages])
        try:
            outcomes = reply.json()["outcomes"]
            return [ax.RecipientError(one["error"]) if "error" in one else ax.Receipt(id=one["id"]) for one in outcomes]
        except (ValueError, LookupError, TypeError):
            return [ax.Receipt() for _ in messages]

    def lookup(self, message: ax.Email | ax.Text) -> ax.Receipt | None:
        items = self.api.get("/messages", query={"ref": message.key}).data()["items"]
        return ax.Receipt(id=items[0]["id"]) if items else None

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        page: int | None = 1
        while page:
            found = self.api.get("/templates", query={"page": page}).data()
            for item in found["items"]:
                yield ax.Template(str(item["id"]), item["name"], item["active"])
            page = found.get("next")

    def balance(self) -> Decimal:
        return Decimal(self.api.get("/account").data()["credits"])


class CrmContract(SourceContract):
    pages = (
        Reply(
            200,
            {
                "items": [
                    {"id": 1, "name": "Ana Silva", "birth_date": "1980-12-24", "email": "ana@example.com"},
                    {"id": 2, "name": "Rui Costa", "changed_at": "2026-11-20T09:30:00Z", "mobile": "+351912345678"},
                ],
                "next": "p2",
            },
        ),
        Reply(200, {"items": [{"id": 3, "name": "Eva Lima", "tags": ["vip"], "status": "active"}], "next": "p3"}),
        Reply(200, {"items": [{"id": 4, "name": "Zé"}], "next": None}),
    )
    ids = ("1", "2", "3", "4")
    empty = Reply(200, {"items": [], "next": None})
    bad_row = Reply(200, {"items": [{"id": 1, "name": "Ana"}, {"name": "Nobody"}, {"id": 3, "name": "Eva"}], "next": None})

    def options(self, url: str) -> Mapping[str, Any]:
        return {"token": "s3cret-never-shown", "base_url": url}


@case(CrmContract)
class Crm(Api, ax.Source[Options]):
    """A source that keeps every promise."""

    capabilities = frozenset({ax.Capability.SOURCE})

    def entities(self) -> Sequence[str]:
        return ["contacts"]

    def changed_since(self, entity: str) -> bool:
        return True

    def fields(self, entity: str) -> frozenset[str] | None:
        return None

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        asked: dict[str, Any] = {"since": query.since.after} if query.since else {}
        token, seen = None, set()
        while True:
            page = self.page(self.api.get(f"/{entity}", query={**asked, "page": token}, safe=True))
            for row in page["items"]:
                yield self.row(entity, row)
            token = page["next"]
            if token is None:
                return
            if token in seen:
                raise ax.InputDataError(f"the service answers page {token} again and again")
            seen.add(token)

    def page(self, reply: Any) -> Any:
        page = reply.data()
        if not isinstance(page, dict) or not isinstance(page.get("items"), list) or "next" not in page:
            raise ax.InputDataError("the reply is no page of contacts")
        return page

    def row(self, entity: str, row: Any) -> ax.Record | ax.BadRow:
        if not row.get("id"):
            return ax.BadRow("contacts", "id", "there is no id")
        return canonical(entity, {**row, "id": str(row["id"])}, raw=row, timezone="UTC")


class DeskContract(ActionContract):
    actions = {"activity": {"subject": "Aniversário", "text": "…"}, "note": {"text": "…"}}
    accepted = Reply(201, {"id": 7})
    rejected = Reply(422, {"error": "no such contact"})
    receipt_id = "7"

    def options(self, url: str) -> Mapping[str, Any]:
        return {"token": "s3cret-never-shown", "base_url": url}


@case(DeskContract)
class Desk(Api, ax.Actor[Options]):
    """An actor that keeps every promise."""

    capabilities = frozenset({ax.Capability.ACTIONS})
    actions = {"activity": "An activity: subject, text.", "note": "A note: text."}

    def act(self, action: ax.Action) -> ax.Receipt:
        if action.kind not in self.actions:
            raise ax.SetupError(f"there is no action {action.kind!r}")
        return receipt_of(self.api.post(f"/{action.kind}", json={"contact": action.to, **action.fields}), "id")


class PayContract(ReferencerContract):
    created = (Reply(404, {}), Reply(201, {"reference": "123 456 789"}))
    repeated = (Reply(200, {"reference": "123 456 789", "amount": "123.45"}),)
    found = (Reply(200, {"reference": "123 456 789", "amount": "123.45"}),)
    absent = (Reply(404, {}),)
    expected = "123456789"

    def options(self, url: str) -> Mapping[str, Any]:
        return {"token": "s3cret-never-shown", "base_url": url}


@case(PayContract)
class Pay(Api, ax.Referencer[Options]):
    """An operator of payment references that keeps every promise."""

    capabilities = frozenset({ax.Capability.REFERENCES})

    def find_reference(self, our_id: str) -> ax.Reference | None:
        reply = self.api.get(f"/references/{our_id}", ok=(200, 404), safe=True)
        return None if reply.status == 404 else self.read(our_id, reply, None)

    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        if amount <= 0 or amount != round(amount, 2):
            raise ax.ContentError(f"{amount} is no amount of {currency}")
        return self.find_reference(our_id) or self.read(our_id, self.api.post("/references", json={"id": our_id, "amount": amount}), amount)

    def read(self, our_id: str, reply: Any, amount: Decimal | None) -> ax.Reference:
        try:
            body = reply.json()
            return ax.Reference(our_id, "11111", body["reference"], amount if amount is not None else Decimal(body["amount"]))
        except (ValueError, LookupError, TypeError):
            raise ax.OutcomeUnknown("the operator's reply cannot be read") from None


class QuietOptions(ax.Options):
    days: int = 90


class QuietContract(ModelContract):
    records = (
        {"id": "1", "name": "Ana", "changed_at": "2026-01-05T10:00:00Z"},
        {"id": "2", "name": "Rui", "changed_at": "2026-12-20T10:00:00Z"},
        {"id": "3", "name": "Eva", "changed_at": "2026-02-05T10:00:00Z"},
    )
    expected = ("1", "3")

    def options(self) -> Mapping[str, Any]:
        return {"days": 90}


@case(QuietContract)
class Quiet(ax.Model[QuietOptions]):
    """A model that keeps every promise: a word to whom nobody has heard of for long."""

    placeholders = {"silent_days": "97"}
    bookmarked = True

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate | ax.Effect]:
        limit = run.slot - timedelta(days=self.options.days)
        for record in run.fetch(self.entity, ax.Query()):
            changed = record.get("changed_at")
            if isinstance(changed, datetime) and changed.replace(tzinfo=None) <= limit:
                silent = (run.slot - changed.replace(tzinfo=None)).days
                yield ax.Candidate(
                    record=record,
                    occasion=f"{changed:%Y-%m-%d}",
                    extra={"silent_days": silent},
                    why=f"silent for {silent} days",
                    baseline=run.baseline,
                )
