"""IXC Provedor: reads customers, invoices and contracts of an internet provider, and writes history, tickets and changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.paging import related, rows_at, walk
from libax_automate.reply import Reply
from libax_connector_ixc_provedor.rows import TABLES, condition, listing, reader

#: rows in a page, and ids in one condition
_ROWS = 500
#: action -> where a record is read, where it is written
_UPDATES = {
    "client-update": ("cliente", "cliente"),
    "contract-update": ("cliente_contrato", "cliente_contrato"),
    "invoice-update": ("fn_areceber_altera", "fn_areceber_altera"),
}
_LIST = {"ixcsoft": "listar"}
_TAG = re.compile(r"<[^>]*>")


class IxcOptions(ax.Options):
    """What a profile says about an app of this connector."""

    base_url: str = Field(
        description="the address of the provider's own IXC, https://ixc.example.com; /webservice/v1 is added where it is missing"
    )
    token: ax.Secret = Field(description="the API user's token, as IXC shows it: id:hash")
    hidden: bool = Field(default=False, description="read invoices that are not released (liberado = N) as well; customers do not see them")
    timezone: str | None = Field(None, description="the zone of the server's clock, such as America/Sao_Paulo; default: the profile's")
    ticket_subject: int | None = Field(None, description="the subject (id_assunto) of tickets, where the action names none")
    ticket_sector: int | None = Field(None, description="the sector (id_ticket_setor) of tickets, where the action names none")
    ca_file: str | None = Field(None, description="a PEM file of further certificate authorities, relative to the profile")

    @field_validator("base_url")
    @classmethod
    def _whole(cls, value: str) -> str:
        return value if urlsplit(value).path.strip("/") else f"{value.rstrip('/')}/webservice/v1"

    @field_validator("token")
    @classmethod
    def _is_pair(cls, value: ax.Secret) -> ax.Secret:
        number, colon, code = value.get_secret_value().partition(":")
        if not (number and colon and code):
            raise ValueError("is not a token as IXC shows it: a number, a colon and a code")
        return value


class IxcProvedor(ax.Source[IxcOptions], ax.Actor[IxcOptions]):
    """A list is a GET with a JSON body; a refusal comes with HTTP 200 and is found in the body, be it JSON or a red HTML box."""

    name = "ixc-provedor"
    title = "IXC Provedor"
    capabilities = frozenset({ax.Capability.SOURCE, ax.Capability.ACTIONS})
    credentials = (
        "In IXC: **Configurações → Usuários**, a user of its own with *Permite acesso webservice* ticked; save, and copy the token, which looks like"
        " `12:0a1b2c…`. The group's *Redes permitidas* must hold the address that requests come from.\n\n"
        "```toml\n"
        "[apps.ixc]\n"
        'connector = "ixc-provedor"\n'
        'base_url  = "https://ixc.example.com"\n'
        'token     = { env = "IXC_TOKEN" }\n'
        "```\n"
    )
    limits = "None documented: it is the provider's own server, which answers 504 when it has too much to do."
    unverified = (
        "Nothing here has been run against a real server; requests follow the vendor's published collection.",
        "Selecting by ultima_atualizacao with a date alone, as is documented for other dates.",
        "Rows carry no zone: they are taken to be of the timezone option, else of the profile's.",
        "What an activity's history entry shows in IXC's screens where it belongs to no contract.",
    )
    default_rate = "5/s"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = {
        "activity": "Writes a history entry on the customer. text, subject, contract (number)",
        "ticket": "Opens a ticket for the customer. subject, text, topic and sector (numbers; default: the app's), priority (B, M, A or C)",
        "client-update": "Changes a customer: fields by IXC's own names. The whole record is read and written back, as IXC demands",
        "contract-update": "Changes a contract, likewise",
        "invoice-update": "Changes an invoice through fn_areceber_altera, likewise",
    }

    api: ApiClient

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        options, place = self.options, self.place
        number, _, code = options.token.get_secret_value().partition(":")
        self.api = ApiClient(
            options.base_url,
            auth=(number, code),
            secrets=[options.token],
            allow_private=place.allow_private,
            ca_file=place.folder / options.ca_file if options.ca_file else None,
            max_body=32 << 20,  # five hundred customers with their two hundred fields
        )
        self._zone = options.timezone or place.timezone
        self._do: Mapping[str, Callable[[ax.Action], dict[str, str]]] = {"activity": self._activity, "ticket": self._ticket}

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def secrets(self) -> Sequence[str]:
        """The token's second half, which stands alone in some of IXC's messages."""
        return [self.options.token.get_secret_value().partition(":")[2]]

    def check(self) -> None:
        """Ask for one customer."""
        self._list("cliente", [], 0, 1)

    def entities(self) -> Sequence[str]:
        """What can be asked for."""
        return list(TABLES)

    def changed_since(self, entity: str) -> bool:
        """Every table is selected by its last change."""
        return entity in TABLES

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All records that match, by ascending id; invoices and contracts hold their customer's record.

        Changes, spans of dates, ids, status, customer and type of person are selected over there.
        """
        rows = self._records(entity, query)
        if entity == "contacts":
            return rows
        return related(rows, {"customer": lambda ids: self._records("contacts", ax.Query(ids=ids))}, batch=_ROWS)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one action; a change reads the record first, for IXC takes only whole ones."""
        if action.kind in _UPDATES:
            source, target = _UPDATES[action.kind]
            method, path, body = "PUT", f"{target}/{_number(action.to, 'record')}", self._whole(action, source)
        elif action.kind in self._do:
            body = self._do[action.kind](action)
            method, path = "POST", "cliente_contrato_historico" if action.kind == "activity" else "su_ticket"
        else:
            raise ax.SetupError(f"ixc-provedor has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        reply = self.api.request(method, path, json=body)
        said = _body(reply)
        if isinstance(said, Mapping):
            if said.get("type") == "success":
                return ax.Receipt(id=str(said["id"]) if said.get("id") else None)
            if said.get("type") == "error":
                raise self._refused(said, reply)
        raise ax.OutcomeUnknown(
            f"IXC answered {self._words(reply) or 'nothing that can be read'}; it may have been done",
            hint="look in IXC: automate errors sent if it is there, automate errors retry if it is not",
        )

    def _records(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        table = TABLES.get(entity)
        if table is None:
            raise ax.SetupError(f"ixc-provedor has no entity {entity!r}", hint=f"it has: {', '.join(TABLES)}")
        reads = reader(entity, timezone=self._zone, country=self.place.country or "BR")
        conditions = reads.filters(query)
        if entity == "invoices" and not self.options.hidden:
            conditions.append(condition(table, "liberado", "=", "S"))
        chunks: list[list[dict[str, str]]] = [conditions]
        if query.ids is not None:
            ids = sorted(int(one) for one in query.ids if one.isdecimal())
            parts = [ids[start : start + _ROWS] for start in range(0, len(ids), _ROWS)]
            chunks = [[*conditions, condition(table, "id", "IN", ",".join(map(str, part)))] for part in parts]
        for chosen in chunks:
            for row in self._walk(table, chosen):
                yield reads.record(row)

    def _walk(self, table: str, conditions: list[dict[str, str]]) -> Iterator[Any]:
        def ask(behind: int) -> tuple[list[Any], int | None]:
            rows, total = self._list(table, conditions, behind, _ROWS)
            known = [int(row["id"]) for row in rows if isinstance(row, Mapping) and str(row.get("id")).isdecimal()]
            if known and min(known) <= behind:
                raise ax.InputDataError(f"IXC answers the same rows of {table} again and again", hint="does the server sort by id?")
            # a total smaller than the page is none: IXC counts what lies behind the id
            return rows, max(known) if known and total > len(rows) else None

        return walk(ask, 0)

    def _list(self, table: str, conditions: list[dict[str, str]], behind: int, rows: int) -> tuple[list[Any], int]:
        reply = self.api.get(table, json=listing(table, conditions, behind, rows), headers=_LIST, safe=True)
        body = _body(reply)
        if isinstance(body, Mapping) and body.get("type") == "error":
            raise self._refused(body, reply)
        if body is None and (words := self._words(reply)):
            raise ax.Transient(
                f"IXC {table}: {words}", hint="wrong field, or a server with too much to do: try again, then ask the provider"
            )
        total = body.get("total") if isinstance(body, Mapping) else None
        if isinstance(body, Mapping) and "registros" not in body and str(total) == "0":
            return [], 0  # an empty list is left out
        found = rows_at(body, "registros")
        if not str(total).isdecimal():
            raise ax.InputDataError(f"IXC {table}: the reply does not say how many there are", hint="is base_url the address of an IXC?")
        return found, int(str(total))

    def _whole(self, action: ax.Action, table: str) -> dict[str, Any]:
        """The record as it is now, with the changes: what a PUT leaves out is emptied."""
        if not action.fields:
            raise ax.ContentError(f"action {action.kind} changes nothing", hint="give it fields by IXC's own names")
        number = _number(action.to, "record")
        rows, _ = self._list(table, [condition(table, "id", "=", str(number))], 0, 1)
        if not rows or not isinstance(rows[0], Mapping) or str(rows[0].get("id")) != str(number):
            raise ax.RecipientError(f"{table} {number} is not there")
        unknown = sorted(set(action.fields) - set(rows[0]))
        if unknown:
            raise ax.ContentError(f"{table} has no field {', '.join(unknown)}", hint="fields go by IXC's own names, such as email")
        now = {key: "" if str(value).startswith("0000-00-00") else value for key, value in rows[0].items() if key != "id"}
        return {**now, **action.fields}

    def _activity(self, action: ax.Action) -> dict[str, str]:
        fields = action.fields
        return {
            "tipo": str(fields.get("subject") or "Libax Automate")[:60],
            "data": self._today(action),
            "historico": _given(action, "text"),
            "id_cliente": str(_number(action.to, "customer")),
            "id_contrato": str(_number(fields["contract"], "contract")) if fields.get("contract") else "",
        }

    def _ticket(self, action: ax.Action) -> dict[str, str]:
        fields, options = action.fields, self.options
        topic, sector = fields.get("topic") or options.ticket_subject, fields.get("sector") or options.ticket_sector
        if not topic or not sector:
            missing = "ticket_subject" if not topic else "ticket_sector"
            raise ax.SetupError(f"a ticket needs {missing}", hint=f"write {missing} = NUMBER into the app's options")
        return {
            "tipo": "C",
            "id_cliente": str(_number(action.to, "customer")),
            "id_assunto": str(topic),
            "id_ticket_setor": str(sector),
            "titulo": _given(action, "subject"),
            "menssagem": _given(action, "text"),
            "prioridade": str(fields.get("priority") or "B"),
            "su_status": "N",
        }

    def _today(self, action: ax.Action) -> str:
        if action.sent_at is None:
            raise ax.ContentError("an activity needs the moment of its sending")
        return f"{action.sent_at.astimezone(ZoneInfo(self._zone)):%d/%m/%Y}"

    def _refused(self, said: Mapping[str, Any], reply: Reply) -> ax.AutomateError:
        words = self.api.redacted(" ".join(_TAG.sub(" ", str(said.get("message") or "")).split()))[:300]
        plain = words.lower()
        shown = f"IXC: {words or 'error'}"
        if "ip " in plain and "liberado" in plain:
            return ax.AccountError(shown, hint="in IXC, under the user's group, add this server's address to Redes permitidas")
        if "permiss" in plain:
            return ax.SetupError(shown, hint="give the API user that right in IXC")
        if "recurso" in plain and "dispon" in plain:
            return ax.SetupError(shown, hint="the server offers no such table: its support must release it")
        error = ax.ContentError(shown)
        error.status = reply.status
        return error

    def _words(self, reply: Reply) -> str:
        """What an HTML page says, in a few words."""
        if b"<" not in reply.content[:2000]:
            return ""
        return self.api.redacted(" ".join(_TAG.sub(" ", reply.content[:4000].decode("latin-1")).split()))[:200]


def _body(reply: Reply) -> Any:
    """The body as JSON, in UTF-8 or, as older servers write without a word, ISO-8859-1; None where it is none."""
    if reply.truncated:
        return None
    try:
        return json.loads(reply.content)
    except UnicodeDecodeError:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        return json.loads(reply.content.decode("latin-1"))
    except (ValueError, RecursionError):
        return None


def _given(action: ax.Action, name: str) -> str:
    value = action.fields.get(name)
    if value is None or value == "":
        raise ax.ContentError(f"action {action.kind} lacks {name}", hint=f"give it {name}")
    return str(value)


def _number(value: Any, what: str) -> int:
    if not str(value).isdecimal():
        raise ax.RecipientError(f"{what} {str(value)[:40]!r} is no IXC number")
    return int(value)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [IxcProvedor]
