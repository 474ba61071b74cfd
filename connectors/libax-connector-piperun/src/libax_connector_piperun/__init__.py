"""PipeRun: reads people, companies, deals and what belongs to them, and acts on deals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field

import libax_automate as ax
from libax_automate.errors import InputDataError
from libax_automate.http import ApiClient
from libax_automate.normalise import amount_of
from libax_automate.paging import related, rows_at, walk
from libax_automate.reply import Reply
from libax_connector_piperun.rows import PATHS, SINGLE, STATUSES, reader, start_of

#: the largest page there is
_SHOW = 200
#: so many ids are asked for one by one; more are found by reading the list
_SINGLY = 20
#: the entity that an action is on -> the field that names the record
_ON = {"deals": "deal_id", "contacts": "person_id", "companies": "company_id"}
_NAMES = {
    "owner": "owner_id",
    "pipeline": "pipeline_id",
    "stage": "stage_id",
    "contact": "person_id",
    "company": "company_id",
    "amount": "value",
    "close_date": "probably_closed_at",
}
_NUMBERS = frozenset({"owner_id", "pipeline_id", "stage_id", "person_id", "company_id", "lost_reason_id", "origin_id"})
_DONE = {"open": 0, "done": 2, "no-show": 4}


class PipeRunOptions(ax.Options):
    """What a profile says about an app of this connector."""

    token: ax.Secret = Field(description="the user's token, 32 characters")
    base_url: str = Field("https://api.pipe.run/v1", description="where the API is; for a test server")
    owner: int | None = Field(None, description="the user whom activities belong to, where the action names none")
    activity_type: int | None = Field(None, description="the number of the type of activity that is written, where the action names none")
    activity_on: str = Field("contacts", description="the entity that activities are written on where the action names none")
    currency: str = Field("BRL", min_length=3, max_length=3, description="the currency of the account's deals")
    timezone: str | None = Field(None, description="the zone of the account's clock, such as America/Sao_Paulo; default: the profile's")
    relations: dict[str, str] = Field(
        default_factory=lambda: {"deals": "persons,users,customFields,tags", "companies": "contactEmails,contactPhones"},
        description="what a list brings with its rows, per entity",
    )


class PipeRun(ax.Source[PipeRunOptions], ax.Actor[PipeRunOptions]):
    """Lists go by cursor, two hundred rows a page; an action is one POST or PUT."""

    name = "piperun"
    title = "PipeRun CRM"
    capabilities = frozenset({ax.Capability.SOURCE, ax.Capability.ACTIONS})
    credentials = (
        "In PipeRun, open your user's menu and **Central de integrações**, and copy the API token. It sees what its user sees; make a user of"
        " its own for it.\n\n"
        "```toml\n"
        "[apps.crm]\n"
        'connector     = "piperun"\n'
        'token         = { env = "PIPERUN_TOKEN" }\n'
        "owner         = 64911\n"
        "activity_type = 121380\n"
        "```\n"
    )
    limits = "100 requests a minute, told by users of the API and not by its documents; 429 says how long to wait."
    unverified = (
        "Nothing here has been run against a real account; requests follow the vendor's published document.",
        "100 requests a minute: read in other people's code.",
        "Rows carry no zone: they are taken to be of the timezone option, else of the profile's.",
        "deals with=customFields,tags: the document names items, persons, companies and users; and not under which name these come back.",
        "People's lists are selected by updated_at; the documented example of a row does not show that field.",
        "deal-person: the document shows its refusals, not its success.",
    )
    default_rate = "100/min"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = {
        "activity": (
            "Makes an activity. subject, text, type and responsible (numbers; default: the app's), in_days and time or at (when it starts), "
            "duration (minutes), status (open, done), entity (contacts, deals, companies)"
        ),
        "note": "Writes a note. text, entity (deals by default), user (number)",
        "deal-stage": "Moves a deal. stage, pipeline (numbers)",
        "deal-update": (
            "Changes a deal. owner, pipeline, stage, status (open, won, lost), situation (active, frozen), title, amount, "
            "contact, company, close_date, custom_fields ({ number = value }), tags ([numbers]), or any field by PipeRun's own name"
        ),
        "deal-add": "Makes a deal. title, pipeline, stage, and fields as in deal-update; reference is this message's key",
        "deal-person": "Adds a person to those involved in a deal. person (number)",
    }

    api: ApiClient

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url,
            headers={"token": self.options.token},
            allow_private=self.place.allow_private,
            max_body=16 << 20,  # two hundred rows with all their relations
        )
        self._do: Mapping[str, Callable[[ax.Action], tuple[str, str, dict[str, Any]]]] = {
            "activity": self._activity,
            "note": self._note,
            "deal-stage": self._stage,
            "deal-update": lambda action: ("PUT", f"deals/{_number(action.to, 'deal')}", _changes(action)),
            "deal-add": self._add,
            "deal-person": self._person,
        }

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask for one user, which needs the token."""
        self.api.get("users", query={"show": 1, "cursor": ""}, safe=True)

    def entities(self) -> Sequence[str]:
        """What can be asked for."""
        return list(PATHS)

    def changed_since(self, entity: str) -> bool:
        """Every list is selected by date of change over there."""
        return entity in PATHS

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All records that match; created, changed, stage changed, and one pipeline, stage, owner, contact or status are selected there.

        Deals hold the records of their contact and owner: those that came with them, else up to twenty contacts asked for one by one.
        """
        rows = self._records(entity, query)
        if entity != "deals":
            return rows
        users: list[ax.Record | ax.BadRow] = []

        def owner(_: frozenset[str]) -> list[ax.Record | ax.BadRow]:
            # there are few, and one list of all is cheaper than asking for some
            users.extend(() if users else self._records("users", ax.Query()))
            return users

        def contact(ids: frozenset[str]) -> Iterable[ax.Record | ax.BadRow]:
            return self._records("contacts", ax.Query(ids=ids)) if len(ids) <= _SINGLY else ()

        return related(rows, {"contact": contact, "owner": owner}, batch=_SHOW)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one action with one call."""
        prepare = self._do.get(action.kind)
        if prepare is None:
            raise ax.SetupError(f"piperun has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        method, path, body = prepare(action)
        reply = self.api.request(method, path, json=body, classify=False)
        said = _said(reply)
        if reply.status == 404 and said is not None:
            raise _as(ax.RecipientError, self.api, reply, "is the record still there?")
        if 200 <= reply.status < 300 and said is not False:
            return ax.Receipt(id=reply.id_at("data", "id"))
        if reply.status < 300:
            raise _as(ax.ContentError, self.api, reply, "PipeRun answered 200 and refused")
        raise self.api.refusal(reply, method)

    def _records(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        path = PATHS.get(entity)
        if path is None:
            raise ax.SetupError(f"piperun has no entity {entity!r}", hint=f"it has: {', '.join(PATHS)}")
        options, place = self.options, self.place
        reads = reader(entity, timezone=options.timezone or place.timezone, country=place.country, currency=options.currency)
        if query.ids is not None and len(query.ids) <= _SINGLY and entity in SINGLE:
            rows = self._singly(path, query.ids, options.relations.get(entity))
        else:
            rows = self._rows(path, {"show": _SHOW, **reads.parameters(query), "with": options.relations.get(entity)})
        for row in rows:
            if (record := reads.record(row)) is not None:
                yield record

    def _rows(self, path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        def ask(cursor: str) -> tuple[list[Any], str | None]:
            body = self.api.get(path, query={**query, "cursor": cursor}, safe=True).data()
            rows = rows_at(body, "data")
            meta = body.get("meta")
            place = meta.get("cursor") if isinstance(meta, Mapping) else None
            if not isinstance(place, Mapping):
                if len(rows) < _SHOW:
                    return rows, None
                raise InputDataError("a full page names no next one", hint="is base_url the vendor's API, version 1?")
            return rows, str(place["next"]) if place.get("next") else None

        return walk(ask, "")

    def _singly(self, path: str, ids: Iterable[str], relations: str | None) -> Iterator[Any]:
        for one in sorted(ids):
            if not one.isdecimal():
                continue  # no id of theirs
            reply = self.api.get(f"{path}/{one}", query={"with": relations}, ok=(200, 404), safe=True)
            if reply.status == 404 and _said(reply) is None:
                raise self.api.refusal(reply, "GET", safe=True)
            if reply.status == 200:
                body = reply.data()
                row = body.get("data") if isinstance(body, Mapping) else None
                if not isinstance(row, Mapping):
                    raise InputDataError("the reply holds no row", hint="is the base URL the vendor's API?")
                yield row

    def _activity(self, action: ax.Action) -> tuple[str, str, dict[str, Any]]:
        fields, options = action.fields, self.options
        kind, owner = fields.get("type") or options.activity_type, fields.get("responsible") or options.owner
        if not kind or not owner:
            missing = "activity_type" if not kind else "owner"
            raise ax.SetupError(f"an activity needs {missing}", hint=f"write {missing} = NUMBER into the app's options")
        entity = fields.get("entity") or options.activity_on
        record = _number(action.to, "record")
        # what the engine writes after a message is done; what a rule asks for is to be done
        status = fields.get("status", "done" if "message" in fields else "open")
        zone = ZoneInfo(options.timezone or self.place.timezone)
        try:
            start = start_of(fields, action.sent_at, zone)
        except ValueError:
            raise ax.ContentError(
                "action activity: no such moment in at, in_days or time", hint='write in_days = 2, time = "09:00"'
            ) from None
        body = {
            "activity_type_id": _number(kind, "type"),
            "owner_id": _number(owner, "responsible"),
            "status": _DONE.get(str(status), status),
            "title": fields.get("subject") or fields.get("title"),
            "description": fields.get("text"),
            "start_at": start,
            "duration": _number(fields["duration"], "duration") if fields.get("duration") else None,
            "deal_id": record if entity == "deals" else None,
            "persons": [{"id": record}] if entity == "contacts" else None,
            "companies": [{"id": record}] if entity == "companies" else None,
        }
        _known(entity)
        return "POST", "activities", {key: value for key, value in body.items() if value is not None}

    def _note(self, action: ax.Action) -> tuple[str, str, dict[str, Any]]:
        fields = action.fields
        body: dict[str, Any] = {
            "text": _given(action, "text"),
            _known(fields.get("entity") or "deals"): _number(action.to, "record"),
        }
        if fields.get("user"):
            body["user_id"] = _number(fields["user"], "user")
        return "POST", "notes", body

    def _stage(self, action: ax.Action) -> tuple[str, str, dict[str, Any]]:
        _given(action, "stage")
        return "PUT", f"deals/{_number(action.to, 'deal')}", _changes(action)

    def _add(self, action: ax.Action) -> tuple[str, str, dict[str, Any]]:
        for name in ("title", "pipeline", "stage"):
            _given(action, name)
        return "POST", "deals", {"reference": action.key, **_changes(action)}

    def _person(self, action: ax.Action) -> tuple[str, str, dict[str, Any]]:
        return "PUT", f"deals/{_number(action.to, 'deal')}/persons/{_number(_given(action, 'person'), 'person')}", {}


def _changes(action: ax.Action) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in action.fields.items():
        vendor = _NAMES.get(name, name)
        if vendor in _NUMBERS:
            body[vendor] = _number(value, name)
        elif vendor == "value":
            body[vendor] = _amount(value)
        elif vendor == "status":
            body[vendor] = STATUSES.get(str(value), value)
        elif vendor == "situation":
            body["freezed"] = _frozen(value)
        elif vendor == "custom_fields" and isinstance(value, Mapping):
            body[vendor] = [{"id": _number(key, "custom field"), "value": str(part)} for key, part in value.items()]
        elif vendor == "tags" and isinstance(value, (list, tuple)):
            body[vendor] = [{"id": _number(tag, "tag")} for tag in value]
        else:
            body[vendor] = value
    if not body:
        raise ax.ContentError(f"action {action.kind} changes nothing", hint="give it fields, such as owner or stage")
    return body


def _amount(value: Any) -> float:
    try:
        return float(amount_of(value))
    except ValueError as error:
        raise ax.ContentError(str(error)) from None


def _frozen(value: Any) -> bool:
    if str(value) not in {"frozen", "active"}:
        raise ax.ContentError(f"situation {str(value)[:40]!r} is not one of frozen, active")
    return bool(value == "frozen")


def _given(action: ax.Action, name: str) -> Any:
    value = action.fields.get(name)
    if value is None or value == "":
        raise ax.ContentError(f"action {action.kind} lacks {name}", hint=f"give it {name}")
    return value


def _known(entity: str) -> str:
    if entity not in _ON:
        raise ax.SetupError(f"nothing can be written on {entity!r}", hint=f"entity is one of {', '.join(_ON)}")
    return _ON[entity]


def _number(value: Any, what: str) -> int:
    if not str(value).isdecimal():
        raise ax.ContentError(f"{what} {str(value)[:40]!r} is no PipeRun number", hint="PipeRun's records go by number")
    return int(value)


def _said(reply: Reply) -> bool | None:
    """What the body says of its success, in either spelling; None where it is not PipeRun's."""
    try:
        body = reply.json()
    except ValueError:
        return None
    found = body.get("success", body.get("sucess")) if isinstance(body, Mapping) else None
    return found if isinstance(found, bool) else None


def _as(kind: type[ax.ContentError | ax.RecipientError], api: ApiClient, reply: Reply, hint: str) -> ax.ContentError | ax.RecipientError:
    told = api.refusal(reply)
    error = kind(told.message, hint=hint)
    error.status, error.body = told.status, told.body
    return error


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [PipeRun]
