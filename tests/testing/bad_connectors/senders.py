"""Senders that break one promise each."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pydantic import ConfigDict

import libax_automate as ax
from libax_automate.http import ApiClient

from . import case
from .good import Options, Postbox, PostboxBase, PostboxContract, receipt_of

Either = ax.Email | ax.Text


@case(PostboxContract, "it_is_found_by_its_entry_point", listed=False)
class Unlisted(PostboxBase):
    pass


@case(PostboxContract, "its_name_is_kebab_case")
class Shouting(PostboxBase):
    name = "Shouting_Box"


class LooseOptions(Options):
    model_config = ConfigDict(extra="allow")


@case(PostboxContract, "an_unknown_option_is_refused")
class Loose(PostboxBase):
    options_type = LooseOptions


class OpenOptions(ax.Options):
    token: str
    base_url: str = ""


@case(PostboxContract, "what_looks_like_a_secret_is_kept_shut")
class OpenHeart(PostboxBase):
    options_type = OpenOptions

    def open(self) -> None:
        token: Any = self.options.token
        self.api = ApiClient(self.options.base_url, headers={"Authorization": token}, allow_private=self.place.allow_private)


@case(PostboxContract, "no_check_of_the_contract_is_overridden", test_a_redirect_is_not_followed=lambda self: None)
class Evasive(PostboxBase):
    pass


@case(PostboxContract, "close_is_safe_twice")
class CloseOnce(PostboxBase):
    def close(self) -> None:
        self.api.close()
        del self.api


@case(PostboxContract, "open_sends_nothing")
class Eager(PostboxBase):
    def open(self) -> None:
        super().open()
        self.api.get("/hello", classify=False)


@case(PostboxContract, "no_secret_is_in_a_repr")
class Exhibitionist(PostboxBase):
    def __repr__(self) -> str:
        return f"<Exhibitionist {self.options.token.get_secret_value()}>"


@case(PostboxContract, "it_says_how_to_get_its_credentials")
class Silent(PostboxBase):
    credentials = ""


@case(PostboxContract, "its_capabilities_are_those_of_its_kind")
class Boastful(PostboxBase):
    capabilities = frozenset({ax.Capability.EMAIL, ax.Capability.SOURCE})


@case(PostboxContract, "check_succeeds_and_changes_nothing")
class CheckByDeleting(PostboxBase):
    def check(self) -> None:
        self.api.delete("/account/test")


@case(PostboxContract, "check_names_a_wrong_credential")
class Unchecked(PostboxBase):
    def check(self) -> None:
        pass


@case(PostboxContract, "one_call_is_one_request", "every_declared_channel_is_sent_on")
class Double(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        receipt = super().send(message)
        self.api.get(f"/messages/{receipt.id}", classify=False)
        return receipt


@case(PostboxContract, "a_wrong_credential_is_an_account_error")
class ForgivingKey(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.AccountError as error:
            raise ax.ContentError(error.message) from None


@case(PostboxContract, "too_fast_is_rate_limited_and_says_for_how_long")
class Impatient(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.RateLimited as error:
            raise ax.RateLimited(error.message) from None


@case(PostboxContract, "unavailable_is_not_sent")
class Retrying(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.Transient:
            return super().send(message)


@case(PostboxContract, "too_fast_is_rate_limited_and_says_for_how_long")
class Sleeping(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.RateLimited as error:
            time.sleep(error.retry_after or 1)
            raise


@case(PostboxContract, "a_server_error_is_in_doubt")
class Certain(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.OutcomeUnknown as error:
            if "HTTP 5" in error.message:
                raise ax.Transient(error.message) from None
            raise


@case(PostboxContract, "a_hang_up_is_in_doubt", "a_reply_that_breaks_off_is_never_sent_again")
class Hasty(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.OutcomeUnknown as error:
            if "HTTP 5" not in error.message:
                raise ax.Transient(error.message) from None
            raise


@case(PostboxContract, "unreachable_is_not_sent")
class Doubtful(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.Transient as error:
            if "not sent" in error.message:
                raise ax.OutcomeUnknown(error.message) from None
            raise


@case(PostboxContract, "a_refusal_raises_its_class", rejected_as=ax.RecipientError)
class Vague(PostboxBase):
    pass


@case(PostboxContract, "a_redirect_is_not_followed")
class Following(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        return receipt_of(self.api.post("/messages", json=self.body(message), ok=range(200, 400)), "id")


@case(PostboxContract, "a_success_nobody_can_read_is_still_a_success", "no_reply_raises_anything_else")
class Trusting(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        return ax.Receipt(id=self.api.post("/messages", json=self.body(message)).json()["id"])


@case(PostboxContract, "a_wrong_content_type_changes_nothing", "a_success_nobody_can_read_is_still_a_success")
class Pedantic(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        reply = self.api.post("/messages", json=self.body(message))
        if reply.headers["content-type"] != "application/json":
            raise ax.OutcomeUnknown("what is this?")
        return receipt_of(reply, "id")


@case(PostboxContract, "no_reply_raises_anything_else")
class Fragile(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        reply = self.api.post("/messages", json=self.body(message), classify=False)
        if reply.status == 409:
            raise ax.RecipientError(reply.json()["error"]["text"])
        if reply.status not in range(200, 300):
            raise self.api.refusal(reply, "POST")
        return receipt_of(reply, "id")


@case(PostboxContract, "no_secret_is_told")
class Chatty(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        logging.getLogger("chatty").info("sending with %s", self.options.token.get_secret_value())
        return super().send(message)


@case(PostboxContract, "no_secret_is_told")
class Quoting(PostboxBase):
    """Carries the key in the URL, and says the URL."""

    def send(self, message: Either) -> ax.Receipt:
        token = self.options.token.get_secret_value()
        try:
            return receipt_of(self.api.post(f"/{token}/messages", json=self.body(message)), "id")
        except ax.ContentError:
            raise ax.ContentError(f"POST /{token}/messages was refused") from None


@case(PostboxContract, "difficult_text_arrives_intact")
class Ascii(PostboxBase):
    def body(self, message: Either) -> dict[str, Any]:
        return {**super().body(message), "text": message.text.encode("ascii", "replace").decode()}


@case(PostboxContract, "many_threads_use_one_connector")
class Shared(PostboxBase):
    """Keeps the message it is about to send on itself."""

    _waiting = threading.Event()

    def send(self, message: Either) -> ax.Receipt:
        self.current = message
        self._waiting.wait(0.02)
        return super().send(self.current)


@case(PostboxContract, "every_declared_channel_is_sent_on")
class EmailOnly(PostboxBase):
    def send(self, message: Either) -> ax.Receipt:
        if isinstance(message, ax.Text):
            raise ax.ContentError("no text messages")
        return super().send(message)


@case(PostboxContract, "what_it_declares_it_has_and_what_it_has_it_declares", "the_balance_is_a_decimal")
class Promising(PostboxBase):
    capabilities = frozenset({ax.Capability.EMAIL, ax.Capability.BALANCE})


@case(PostboxContract, "what_it_declares_it_has_and_what_it_has_it_declares")
class Modest(PostboxBase):
    def balance(self) -> Decimal:
        return Decimal(1)


@case(PostboxContract, "the_same_message_carries_the_same_key")
class Forgetful(Postbox):
    def body(self, message: Either) -> dict[str, Any]:
        return {**super().body(message), "ref": f"{message.key}/{uuid.uuid4()}"}


@case(PostboxContract, "the_same_message_carries_the_same_key")
class Keyless(Postbox):
    def body(self, message: Either) -> dict[str, Any]:
        return {**super().body(message), "ref": "same"}


@case(PostboxContract, "a_batch_answers_for_each_message")
class OneByOne(Postbox):
    def send_batch(self, messages: Sequence[Either]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        for message in messages:
            self.send(message)
        return super().send_batch(messages)


@case(PostboxContract, "a_batch_answers_for_each_message")
class BatchAgain(Postbox):
    """Sends a batch again whose fate nobody knows."""

    def send_batch(self, messages: Sequence[Either]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        try:
            return super().send_batch(messages)
        except ax.OutcomeUnknown:
            return super().send_batch(messages)


@case(PostboxContract, "a_batch_goes_under_its_messages_keys")
class KeylessBatch(Postbox):
    """Its single messages carry a key, its batches none."""

    def send_batch(self, messages: Sequence[Either]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        return super().send_batch([replace(message, key="none") for message in messages])


@case(PostboxContract, "a_batch_goes_under_its_messages_keys")
class RandomBatch(Postbox):
    """Every try of a batch has a key of its own."""

    def send_batch(self, messages: Sequence[Either]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        return super().send_batch([replace(message, key=str(uuid.uuid4())) for message in messages])


@case(PostboxContract, "a_batch_tells_the_refused_from_the_accepted")
class AllOfThem(Postbox):
    def send_batch(self, messages: Sequence[Either]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        return [ax.Receipt() for _ in super().send_batch(messages)]


@case(PostboxContract, "a_file_goes_with_an_email")
class Namesake(Postbox):
    """Says what the file is called, and leaves it at that."""

    def body(self, message: Either) -> dict[str, Any]:
        made = super().body(message)
        return {**made, "files": [file["name"] for file in made.get("files", ())]}


@case(PostboxContract, "templates_are_listed")
class FirstPage(Postbox):
    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        for item in self.api.get("/templates").data()["items"]:
            yield ax.Template(str(item["id"]), item["name"], item["active"])


@case(PostboxContract, "a_message_can_be_looked_up")
class Denying(Postbox):
    """Says that the service has no such message when it could not be asked."""

    def lookup(self, message: Either) -> ax.Receipt | None:
        try:
            return super().lookup(message)
        except ax.ConnectorError:
            return None


@case(PostboxContract, "the_balance_is_a_decimal")
class Floating(Postbox):
    def balance(self) -> Any:
        return float(super().balance())


@case(PostboxContract, "unreachable_is_not_sent")
class Bare(PostboxBase):
    """Does HTTP by itself: what a connect error means is then its own business, and it gets it wrong."""

    def send(self, message: Either) -> ax.Receipt:
        try:
            return super().send(message)
        except ax.Transient as error:
            if "not sent" in error.message:
                raise ConnectionError(error.message) from None
            raise
