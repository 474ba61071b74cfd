"""Movidesk: reads people and organisations, and registers and changes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

import libax_automate as ax
from libax_automate.errors import ConnectorError
from libax_automate.http import ApiClient
from libax_automate.normalise import Canonical
from libax_automate.paging import rows_at, walk
from libax_automate.reply import Reply

#: rows in a page that are known to be safe
_TOP = 100
_SELECT = "id,isActive,personType,profileType,businessName,corporateName,cpfCnpj"
_PERSON_TYPES = {"person": 1, "company": 2, "department": 4}
_PROFILES = {"agent": 1, "client": 2, "both": 3}
_NAMES = {"name": "businessName", "corporate_name": "corporateName", "tax_id": "cpfCnpj"}


class MovideskOptions(ax.Options):
    """What a profile says about an app of this connector."""

    token: ax.Secret = Field(description="the access token")
    base_url: str = Field("https://api.movidesk.com/public/v1", description="where the API is; for a test server")
    contact_type: Literal["person", "company", "department"] = Field(
        "person", description="what is registered where the action does not say"
    )
    profile: Literal["agent", "client", "both"] = Field("client", description="the profile of who is registered")
    email_type: str = Field("Profissional", description="the account's word for the type of an e-mail address")
    order_by: str | None = Field(None, description="the field that lists are sorted by ($orderby), where the account's API takes one")
    prefix: str = Field("LIBAX-", description="what the codes of those registered begin with, before the record's own id")


class Movidesk(ax.Source[MovideskOptions], ax.Actor[MovideskOptions]):
    """A person's code is ours, so that registering twice makes one; collections in a change replace what was there."""

    name = "movidesk"
    title = "Movidesk"
    capabilities = frozenset({ax.Capability.SOURCE, ax.Capability.ACTIONS})
    credentials = (
        "In Movidesk: **Configurações → Conta → Parâmetros → Ambiente**, generate the access key. It goes in the query of every request: keep it"
        " outside the profile.\n\n"
        "```toml\n"
        "[apps.desk]\n"
        'connector    = "movidesk"\n'
        'token        = { env = "MOVIDESK_TOKEN" }\n'
        'contact_type = "person"\n'
        "```\n"
    )
    limits = "10 requests a minute, and fewer at the hours that Movidesk sets."
    unverified = (
        "Nothing here has been run against a real account; there is no published specification.",
        "Where the access key is found in the menus.",
        "What Movidesk says to a code that is already there: taken to be a refusal of this record.",
        "Sorting lists: nothing documents it, so nothing is asked for; order_by asks. A person met on two pages counts once.",
        "Telephones: the form in which people's lists hold them is not documented, so they are not read.",
    )
    default_rate = "10/min"
    default_concurrency = 1
    actions: ClassVar[Mapping[str, str]] = {
        "person": (
            "Registers the record it is addressed to. name, email, tax_id, corporate_name, contact_type (person, company, department), "
            "profile (agent, client, both), organization (its code), or any field by Movidesk's own name"
        ),
        "person-update": "Changes the person whose code it is addressed to. Fields as in person; e-mails and relations replace those there",
    }

    api: ApiClient

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url,
            query={"token": self.options.token},
            secrets=[self.options.token],
            allow_private=self.place.allow_private,
            max_body=8 << 20,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask for one person."""
        self.api.get("persons", query={"$select": "id", "$top": 1}, safe=True)

    def entities(self) -> Sequence[str]:
        """People and organisations, in one list."""
        return ["contacts"]

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All people; a few ids are asked for one by one, all else is the engine's to select."""
        if entity != "contacts":
            raise ax.SetupError(f"movidesk has no entity {entity!r}", hint="it has: contacts")
        canonical = Canonical("contacts", country=self.place.country, timezone=self.place.timezone)
        met: set[str] = set()
        for row in self._rows() if query.ids is None else self._singly(query.ids):
            record = _record(row, canonical)
            # numbered pages of a list that nobody sorts may overlap
            if not isinstance(record, ax.Record) or record.id not in met:
                yield record
            if isinstance(record, ax.Record):
                met.add(record.id)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one action with one call."""
        if action.kind not in self.actions:
            raise ax.SetupError(f"movidesk has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        if not action.to:
            raise ax.RecipientError("the action names no record")
        if action.kind == "person":
            reply = self.api.post("persons", query={"returnAllProperties": "false"}, json=self._person(action), classify=False)
        else:
            if not action.fields:
                raise ax.ContentError("action person-update changes nothing", hint="give it fields, such as email")
            reply = self.api.patch("persons", query={"id": action.to}, json=self._changes(action.fields), classify=False)
        if 200 <= reply.status < 300:
            return ax.Receipt(id=reply.id_at("id"))
        raise self._refused(reply, action)

    def _person(self, action: ax.Action) -> dict[str, Any]:
        options, fields = self.options, action.fields
        if not fields.get("name") and not fields.get("businessName"):
            raise ax.ContentError("action person lacks name", hint="give it name")
        prefix = "" if action.to.startswith(options.prefix) else options.prefix
        made = {
            "id": f"{prefix}{action.to}",
            "isActive": True,
            "personType": _PERSON_TYPES[options.contact_type],
            "profileType": _PROFILES[options.profile],
        }
        return {**made, **self._changes(fields)}

    def _changes(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, value in fields.items():
            if name == "email":
                body["emails"] = [{"emailType": self.options.email_type, "email": value, "isDefault": True}] if value else []
            elif name == "organization":
                body["relationships"] = [{"id": str(value)}] if value else []
            elif name == "contact_type":
                body["personType"] = _chosen(_PERSON_TYPES, name, value)
            elif name == "profile":
                body["profileType"] = _chosen(_PROFILES, name, value)
            elif name == "active":
                body["isActive"] = bool(value)
            else:
                body[_NAMES.get(name, name)] = value
        return body

    def _rows(self) -> Iterator[Any]:
        newest: list[Any] = []

        def ask(skip: int) -> tuple[list[Any], int | None]:
            parameters = {"$select": _SELECT, "$expand": "emails", "$orderby": self.options.order_by, "$top": _TOP, "$skip": skip}
            rows = rows_at(self.api.get("persons", query=parameters, safe=True).data())
            if rows and rows[0] == (newest or [None])[0]:
                raise ax.InputDataError(
                    "Movidesk answers the same people again and again", hint="it is theirs to mend: report it to the vendor"
                )
            newest[:] = rows[:1]
            # nothing counts them: the last page is the one that is not full
            return rows, skip + _TOP if len(rows) >= _TOP else None

        return walk(ask, 0)

    def _singly(self, ids: Iterable[str]) -> Iterator[Any]:
        for one in sorted(ids):
            reply = self.api.get("persons", query={"id": one}, ok=(200, 404), safe=True)
            if reply.status == 200:
                yield reply.data()

    def _refused(self, reply: Reply, action: ax.Action) -> ConnectorError:
        told = self.api.refusal(reply, "POST" if action.kind == "person" else "PATCH")
        if reply.status == 404 and action.kind == "person-update":
            error: ConnectorError = ax.RecipientError(f"Movidesk has nobody with the code {action.to}", hint="register the person first")
        elif reply.status == 409:
            error = ax.RecipientError(told.message, hint="the code is taken: use person-update")
        else:
            return told
        error.status, error.body = told.status, told.body
        return error


def _record(row: Any, canonical: Canonical) -> ax.Record | ax.BadRow:
    if not isinstance(row, Mapping) or not row.get("id"):
        return ax.BadRow("contacts", "id", "it has no id")
    emails = row.get("emails")
    listed = [part for part in emails if isinstance(part, Mapping) and part.get("email")] if isinstance(emails, list) else []
    listed.sort(key=lambda part: not part.get("isDefault"))
    own = ("id", "isActive", "personType", "businessName", "cpfCnpj")
    values = {key: value for key, value in row.items() if key not in own and not isinstance(value, (list, Mapping))}
    values.update(
        id=str(row["id"]),
        name=row.get("businessName"),
        tax_id=row.get("cpfCnpj"),
        email=listed[0]["email"] if listed else None,
        person_type="person" if row.get("personType") == 1 else "company",
        status=None if row.get("isActive") is None else "active" if row["isActive"] else "inactive",
    )
    return canonical(values, raw=row, where=f"contacts {row['id']}")


def _chosen(known: Mapping[str, int], name: str, value: Any) -> Any:
    if value in known.values():
        return value
    if str(value) not in known:
        raise ax.ContentError(f"{name} {str(value)[:40]!r} is not one of {', '.join(known)}")
    return known[str(value)]


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Movidesk]
