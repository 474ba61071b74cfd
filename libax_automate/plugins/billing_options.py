"""What people write for a billing ladder: the model's keys, a step's keys, and what the known stages mean without them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

import libax_automate as ax
from libax_automate.plugins.billing_when import holidays_of, when_of

#: stage -> when it is due unless the profile says otherwise
STAGES: Mapping[str, str] = {
    "lembrete": "due - 3d",
    "aviso": "due + 2d",
    "pendencia": "previous + 5d",
    "agendar": "previous + 7d",
    "presencial": "previous + 10d",
    "cartorio": "previous + 15d",
    "baixa": "on paid",
    "cancelamento": "on cancelled",
    "renegociacao": "on renegotiated",
    "remover-negativacao": "on paid",
}
#: the stage without which a removal has nothing to remove
ONLY_AFTER = {"remover-negativacao": ("cartorio",)}


class BillingOptions(ax.Options):
    """Options of the billing model."""

    days: Literal["calendar", "business"] = Field("calendar", description="What the steps count: all days, or business days.")
    country: str | None = Field(None, description="Whose public holidays are no business days: an ISO 3166 code, such as BR.")
    subdivision: str | None = Field(None, description="A part of it with holidays of its own, such as SP.")
    closed: tuple[date, ...] = Field((), description="Further days without business, such as a town's holiday.")
    exit: tuple[Literal["paid", "cancelled", "renegotiated"], ...] = Field(
        ("paid", "cancelled", "renegotiated"), description="Statuses that end the ladder; asked again when a message is about to leave."
    )
    gap: str = Field("1d", pattern=r"^\d{1,3}d$", description="Least days between two steps of one invoice, or of one customer.")
    group: Literal["invoice", "customer"] = Field("invoice", description="customer = one message for all invoices at the same step.")
    min_balance: Decimal = Field(Decimal("0.01"), ge=0, description="Smallest debt that is written about.")
    backlog: bool = Field(False, description="Takes up invoices whose steps were due before the model was first seen.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.days == "business" and self.country is None:
            raise ValueError('business days need to know whose holidays they leave out: country = "BR"')
        if self.subdivision is not None and self.country is None:
            raise ValueError("subdivision is a part of a country, which is missing")
        if self.country is not None:
            holidays_of(self.country, self.subdivision)
        return self


class BillingStep(ax.Options):
    """The billing model's own keys of a step."""

    stage: str = Field("", description="The stage, where the step has another name.")
    when: str | None = Field(None, description='"due - 3d", "due + 2d", "previous + 5d" or "on paid"; default: the stage\'s.')
    days: Literal["calendar", "business"] | None = Field(None, description="What this step counts; default: the model's.")
    group: Literal["invoice", "customer"] | None = Field(None, description="One message per invoice or per customer; default: the model's.")
    only_if_sent: ax.Strings = Field((), description="Steps or stages of which one has to have left before.")

    @field_validator("when")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            when_of(value)
        return value
