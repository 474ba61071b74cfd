"""The promises of every actor; see what each check wants in ``libax_automate.testing``."""

from typing import Any

from libax_connector_jira import Jira

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, Request


class TestJira(ActionContract):
    actor = Jira
    to = "VENDAS-7"
    actions = {
        "issue": {"title": "Ligar ao cliente", "text": "Ouvir"},
        "comment": {"text": "Ligámos"},
        "transition": {"transition": 31},
    }
    accepted = Reply(201, {"id": "10000", "key": "VENDAS-24", "self": "https://example.atlassian.net/rest/api/3/issue/10000"})
    receipt_id = "VENDAS-24"
    checked = Reply(200, {"issueTypes": [{"id": "1", "name": "Task"}]})
    rejected = Reply(400, {"errorMessages": [], "errors": {"summary": "You must specify a summary of the issue."}})
    rejected_as = ax.ContentError
    refusals = (
        (Reply(400, {"errorMessages": [], "errors": {"project": "project is required"}}), ax.SetupError),
        (Reply(400, {"errorMessages": [], "errors": {"issuetype": "Specify a valid issue type"}}), ax.SetupError),
        (Reply(403, {"errorMessages": ["no permission"]}), ax.AccountError),
    )

    def options(self, url: str) -> dict[str, Any]:
        return {"base_url": url, "email": "bot@example.com", "token": "s3cret-never-shown", "project": "VENDAS"}

    def texts(self, request: Request) -> list[str]:
        """A document's paragraphs are the text's lines."""
        content = request.json()["fields"]["description"]["content"]
        return ["\n".join("".join(part["text"] for part in paragraph["content"]) for paragraph in content)]
