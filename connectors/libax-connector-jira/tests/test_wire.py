"""The exact requests, held against the vendor's own document where it is at hand."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libax_connector_jira import Jira, JiraOptions

import libax_automate as ax
from libax_automate.testing import Reply, Service, SpecServer

CONTRACT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "jira" / "openapi.json"
KEY = "7d1c9a52-0000-4000-8000-000000000001"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(201, {"id": "10000", "key": "VENDAS-24"})) as service:
        yield service


@pytest.fixture
def jira(service: Service) -> Iterator[Jira]:
    jira = made(service.url)
    yield jira
    jira.close()


def made(url: str, **options: Any) -> Jira:
    given = {
        "base_url": url,
        "email": "bot@example.com",
        "token": "s3cret-never-shown",
        "project": "VENDAS",
        "issue_type": "Tarefa",
        **options,
    }
    jira = Jira(JiraOptions.model_validate(given), ax.Place(allow_private=("127.0.0.0/8",)))
    jira.open()
    return jira


def act(jira: Jira, kind: str, to: str = "12", **fields: Any) -> ax.Receipt:
    return jira.act(ax.Action(id="M1", key=KEY, to=to, kind=kind, fields=fields))


@pytest.mark.req("PR-41")
def test_an_issue_with_the_customers_data_in_its_body(service: Service, jira: Jira) -> None:
    """Base URL, e-mail and token; project key, issue type; title, description and the customer's data."""
    receipt = act(
        jira,
        "issue",
        title="Ativar\ncontrato",
        text="Olá\n\nAna",
        data={"Cliente": "Ana Silva", "Valor": "123,00"},
        labels=["novo cliente"],
    )
    assert receipt.id == "VENDAS-24"
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/rest/api/3/issue")
    assert request.headers["authorization"] == "Basic Ym90QGV4YW1wbGUuY29tOnMzY3JldC1uZXZlci1zaG93bg=="
    assert request.json()["fields"] == {
        "project": {"key": "VENDAS"},
        "issuetype": {"name": "Tarefa"},
        "summary": "Ativar contrato",
        "description": {
            "type": "doc",
            "version": 1,
            "content": [
                line("Olá"),
                {"type": "paragraph", "content": []},
                line("Ana"),
                {
                    "type": "bulletList",
                    "content": [
                        {"type": "listItem", "content": [line("Cliente: Ana Silva")]},
                        {"type": "listItem", "content": [line("Valor: 123,00")]},
                    ],
                },
            ],
        },
        "labels": ["novo-cliente", f"libax-{KEY}"],
    }


def line(text: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": text}]}


def test_a_long_title_is_cut_where_jira_would_refuse_it(service: Service, jira: Jira) -> None:
    """255 characters, the last of which says that there was more; own fields win, and labels can be left out."""
    act(jira, "issue", title="a" * 300)
    summary = service.requests[0].json()["fields"]["summary"]
    assert len(summary) == 255
    assert summary.endswith("a…")
    plain = made(service.url, label=False)
    act(plain, "issue", subject="b", fields={"priority": {"name": "High"}}, project="OUTRO", issue_type="Bug")
    fields = service.requests[1].json()["fields"]
    assert (fields["priority"], fields["project"], fields["issuetype"], "labels" in fields) == (
        {"name": "High"},
        {"key": "OUTRO"},
        {"name": "Bug"},
        False,
    )
    plain.close()


def test_a_comment_and_a_transition_go_to_their_issue(service: Service, jira: Jira) -> None:
    """The action's address is the issue's key; one that is gone is this record's error, not the app's."""
    act(jira, "comment", "VENDAS-7", text="Ligámos")
    act(jira, "transition", "VENDAS-7", transition=31)
    assert [request.path for request in service.requests] == [f"/rest/api/3/issue/VENDAS-7/{what}" for what in ("comment", "transitions")]
    assert service.requests[1].json() == {"transition": {"id": "31"}}
    service.on("/rest/api/3/issue/VENDAS-8/comment", Reply(404, {"errorMessages": ["Issue does not exist"], "errors": {}}))
    with pytest.raises(ax.RecipientError, match="Issue does not exist"):
        act(jira, "comment", "VENDAS-8", text="a")
    for error, to, fields in ((ax.RecipientError, "a/b", {"text": "a"}), (ax.ContentError, "VENDAS-7", {})):
        with pytest.raises(error):
            act(jira, "comment", to, **fields)
    with pytest.raises(ax.ContentError):
        act(jira, "issue", text="without a title")


def test_check_names_a_wrong_project_and_a_wrong_type(service: Service, jira: Jira) -> None:
    """Before a run, and with the types that there are."""
    path = "/rest/api/3/issue/createmeta/VENDAS/issuetypes"
    service.on(path, Reply(200, {"issueTypes": [{"id": "1", "name": "Bug"}, {"id": "2", "name": "Task"}]}))
    with pytest.raises(ax.SetupError, match="no issue type 'Tarefa'") as caught:
        jira.check()
    assert "Bug, Task" in caught.value.hint
    service.on(path, Reply(404, {"errorMessages": ["No project"]}))
    with pytest.raises(ax.SetupError, match="project VENDAS"):
        jira.check()


def test_requests_are_as_the_vendor_documents_them() -> None:
    """Every action and the check, checked by a server made of the vendor's document."""
    if not CONTRACT.exists():
        pytest.skip("the vendor's document is not at hand (LIBAX_CONTRACTS)")
    with SpecServer(CONTRACT) as server:
        jira = made(server.url)
        server.answer("getCreateIssueMetaIssueTypes", status=200, body={"issueTypes": [{"name": "Tarefa"}]})
        jira.check()
        # the document's own example is JSON inside a string
        server.answer("createIssue", status=201, body={"id": "10000", "key": "VENDAS-24"}, times=1)
        assert act(jira, "issue", title="a", text="b", data={"c": 1}).id == "VENDAS-24"
        act(jira, "comment", "VENDAS-7", text="b")
        act(jira, "transition", "VENDAS-7", transition=31)
        server.answer("createIssue", status=400, body={"errorMessages": [], "errors": {"summary": "is required"}})
        with pytest.raises(ax.ContentError):
            act(jira, "issue", title="a")
        jira.close()
        server.assert_valid()
