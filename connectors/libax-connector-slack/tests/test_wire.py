"""The exact requests, one webhook and several."""

from collections.abc import Iterator
from typing import Any

import pytest
from libax_connector_slack import Slack, SlackOptions

import libax_automate as ax
from libax_automate.testing import Reply, Service

PATHS = ("/services/T0/B1/first-never-shown", "/services/T0/B2/second-never-shown", "/services/T0/B3/third-never-shown")


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, "ok")) as service:
        yield service


def made(service: Service, *paths: str, **options: Any) -> Slack:
    webhooks = ", ".join(service.url + path for path in paths)
    slack = Slack(SlackOptions.model_validate({"webhooks": webhooks, **options}), ax.Place(allow_private=("127.0.0.0/8",)))
    slack.open()
    return slack


def post(slack: Slack, to: str = "", **fields: Any) -> ax.Receipt:
    return slack.act(ax.Action(id="M1", key="k", to=to, kind="message", fields=fields))


def test_a_message_is_posted_with_its_text(service: Service) -> None:
    """URL, channel, message; what Slack would read as a mention is written out."""
    slack = made(service, PATHS[0], channel="#vendas")
    post(slack, text="Ganho: <!channel> Ana & Rui")
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", PATHS[0])
    assert request.json() == {"text": "Ganho: &lt;!channel&gt; Ana &amp; Rui", "channel": "#vendas"}
    slack.close()


@pytest.mark.req("PR-46")
def test_several_channels_are_urls_separated_by_commas(service: Service) -> None:
    """Each gets it once; a number means one of them alone."""
    slack = made(service, *PATHS)
    assert post(slack, text="Olá").detail == "3 channels"
    assert [request.path for request in service.requests] == list(PATHS)
    service.clear()
    post(slack, to="2", text="Olá")
    assert [request.path for request in service.requests] == [PATHS[1]]
    with pytest.raises(ax.RecipientError):
        post(slack, to="4", text="Olá")
    slack.close()


def test_some_channels_having_it_is_in_doubt(service: Service) -> None:
    """A retry would post to the first ones again: a person decides, and is told which webhook failed, without its secret."""
    slack = made(service, *PATHS)
    service.on(PATHS[1], Reply(404, "no_service"))
    with pytest.raises(ax.OutcomeUnknown, match=r"1 of 3 channels have the message; number 2: .*no_service") as caught:
        post(slack, text="Olá")
    assert "never-shown" not in f"{caught.value} {vars(caught.value)}"
    service.on(PATHS[0], Reply(429, "rate_limited", {"Retry-After": "30"}))
    with pytest.raises(ax.RateLimited):
        post(slack, text="Olá")
    slack.close()


def test_an_empty_text_is_not_posted(service: Service) -> None:
    """Slack would refuse it as no_text."""
    slack = made(service, PATHS[0])
    with pytest.raises(ax.ContentError):
        post(slack, text=" ")
    slack.close()
    assert service.requests == []


@pytest.mark.parametrize("given", ["", "hooks.slack.com/services/x", "https://hooks.slack.com", "https://h.example/a, https://h.example/a"])
def test_what_is_no_list_of_webhooks_is_refused(given: str) -> None:
    """One named twice would get everything twice."""
    with pytest.raises(ValueError, match="webhook"):
        SlackOptions.model_validate({"webhooks": given})


def test_another_server_can_stand_in(service: Service) -> None:
    """``base_url`` takes the place of Slack's; the path stays."""
    slack = Slack(
        SlackOptions.model_validate({"webhooks": "https://hooks.slack.com" + PATHS[0], "base_url": service.url}),
        ax.Place(allow_private=("127.0.0.0/8",)),
    )
    slack.open()
    post(slack, text="Olá")
    slack.close()
    assert service.requests[0].path == PATHS[0]
