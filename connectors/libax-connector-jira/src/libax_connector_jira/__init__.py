"""Jira Cloud: makes issues, comments on them and moves them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field

import libax_automate as ax
from libax_automate.errors import ConnectorError, InputDataError
from libax_automate.http import ApiClient
from libax_automate.reply import Reply

#: Jira's own bound on a title, characters
_SUMMARY = 255
#: what a 400 may name that is the app's set-up and no fault of the message
_SETUP = frozenset({"project", "issuetype", "labels", "reporter"})


class JiraOptions(ax.Options):
    """What a profile says about an app of this connector."""

    base_url: str = Field(description="the site, https://NAME.atlassian.net")
    email: str = Field(description="the e-mail address of the user whom the token belongs to")
    token: ax.Secret = Field(description="that user's API token")
    project: str = Field(description="the key of the project that issues go to, such as VENDAS")
    issue_type: str = Field("Task", description="the type of issue, by the project's own word, such as Tarefa")
    label: bool = Field(default=True, description="label every issue with its message's key, by which a double can be found")


class Jira(ax.Actor[JiraOptions]):
    """One request per action; descriptions go in Atlassian's document format, a paragraph per line."""

    name = "jira"
    title = "Jira Cloud"
    capabilities = frozenset({ax.Capability.ACTIONS})
    credentials = (
        "At **id.atlassian.com → Security → API tokens** make a token, as a user who may create issues in the project.\n\n"
        "```toml\n"
        "[apps.jira]\n"
        'connector = "jira"\n'
        'base_url  = "https://example.atlassian.net"\n'
        'email     = "bot@example.com"\n'
        'token     = { env = "JIRA_TOKEN" }\n'
        'project   = "VENDAS"\n'
        "```\n"
    )
    limits = "Counted by cost; 429 says how long to wait."
    unverified = (
        "Nothing here has been run against a real site; requests follow the vendor's published document.",
        "429 and its Retry-After are general knowledge.",
    )
    default_rate = "5/s"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = {
        "issue": (
            "Makes an issue. title (or subject), text, data ({ name = value }, listed below the text), project, issue_type, labels, "
            'fields (Jira\'s own, such as { priority = { name = "High" } })'
        ),
        "comment": "Comments on the issue that it is addressed to (VENDAS-7). text, data",
        "transition": "Moves the issue that it is addressed to. transition (its number)",
    }

    api: ApiClient

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        options = self.options
        self.api = ApiClient(options.base_url, auth=(options.email, options.token), allow_private=self.place.allow_private)
        self._do: Mapping[str, Callable[[ax.Action], tuple[str, dict[str, Any]]]] = {
            "issue": self._issue,
            "comment": lambda action: (f"{_issue(action)}/comment", {"body": _document(_given(action, "text"), action.fields.get("data"))}),
            "transition": lambda action: (f"{_issue(action)}/transitions", {"transition": {"id": str(_given(action, "transition"))}}),
        }

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask which types of issue the user may make in the project; raises SetupError where the profile's is not among them."""
        options = self.options
        path = f"/rest/api/3/issue/createmeta/{quote(options.project, safe='')}/issuetypes"
        reply = self.api.get(path, query={"maxResults": 200}, ok=(200, 400, 404), safe=True)
        if reply.status != 200:
            raise ax.SetupError(
                f"Jira: project {options.project} is not there, or not for this user", hint="project is its key, such as VENDAS"
            )
        body = reply.data()
        if not isinstance(body, Mapping):
            raise InputDataError("the reply lists no types of issue", hint="is base_url the address of a Jira site?")
        rows = body.get("issueTypes") or body.get("createMetaIssueType") or []
        names = [str(row.get("name")) for row in rows if isinstance(row, Mapping)]
        if names and options.issue_type not in names:
            raise ax.SetupError(f"project {options.project} has no issue type {options.issue_type!r}", hint=f"it has: {', '.join(names)}")

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one action with one call; the receipt's id is the issue's key, or the comment's number."""
        prepare = self._do.get(action.kind)
        if prepare is None:
            raise ax.SetupError(f"jira has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        path, body = prepare(action)
        reply = self.api.post(f"/rest/api/3/issue{path}", json=body, classify=False)
        if 200 <= reply.status < 300:
            return ax.Receipt(id=reply.id_at("key") or reply.id_at("id"))
        raise self._refused(reply, action)

    def _issue(self, action: ax.Action) -> tuple[str, dict[str, Any]]:
        given, options = action.fields, self.options
        title = " ".join(str(given.get("title") or given.get("subject") or "").split())
        if not title:
            raise ax.ContentError("action issue lacks title", hint="give it title")
        labels = [str(label).replace(" ", "-") for label in given.get("labels") or ()]  # a label holds no space
        fields = {
            "project": {"key": str(given.get("project") or options.project)},
            "issuetype": {"name": str(given.get("issue_type") or options.issue_type)},
            "summary": title if len(title) <= _SUMMARY else title[: _SUMMARY - 1] + "…",
            "description": _document(str(given.get("text") or ""), given.get("data")),
        }
        if self.options.label:
            labels.append(f"libax-{action.key}")
        if labels:
            fields["labels"] = labels
        own = given.get("fields")
        return "", {"fields": {**fields, **(own if isinstance(own, Mapping) else {})}}

    def _refused(self, reply: Reply, action: ax.Action) -> ConnectorError:
        told = self.api.refusal(reply, "POST")
        try:
            body = reply.json()
        except ValueError:
            body = None
        named = body.get("errors") if isinstance(body, Mapping) else None
        named = named if isinstance(named, Mapping) else {}
        general = body.get("errorMessages") if isinstance(body, Mapping) else None
        words = [f"{name}: {why}" for name, why in named.items()] + [str(one) for one in general or () if isinstance(general, list)]
        shown = self.api.redacted(f"Jira: {'; '.join(words)[:300]}") if words else told.message
        error: ConnectorError = told
        if reply.status in {400, 422}:
            kind = ax.SetupError if _SETUP & named.keys() else ax.ContentError
            error = kind(shown, hint="check project and issue_type of the app" if kind is ax.SetupError else "")
        elif reply.status == 404 and words and action.kind != "issue":
            error = ax.RecipientError(shown, hint="is the issue still there, and may the user see it?")
        error.status, error.body = told.status, told.body
        return error


def _issue(action: ax.Action) -> str:
    if not action.to or "/" in action.to:
        raise ax.RecipientError(f"{action.to[:40]!r} is no issue", hint="address it to an issue's key, such as VENDAS-7")
    return "/" + quote(action.to, safe="")


def _document(text: str, data: Any) -> dict[str, Any]:
    """``text`` and, below it, ``data`` as a list, in Atlassian's document format, which allows no empty text."""
    content = [_paragraph(line) for line in text.splitlines() or [""]]
    if isinstance(data, Mapping) and data:
        rows = [{"type": "listItem", "content": [_paragraph(f"{name}: {value}")]} for name, value in data.items()]
        content.append({"type": "bulletList", "content": rows})
    return {"type": "doc", "version": 1, "content": content}


def _paragraph(line: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": line}]} if line else {"type": "paragraph", "content": []}


def _given(action: ax.Action, name: str) -> Any:
    value = action.fields.get(name)
    if value is None or value == "":
        raise ax.ContentError(f"action {action.kind} lacks {name}", hint=f"give it {name}")
    return value


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Jira]
