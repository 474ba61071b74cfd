"""What people write by hand for a plugin: typed, documented, secrets kept shut."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo

#: A value that is never printed. ``option.get_secret_value()`` opens it, at the edge and nowhere else.
Secret = SecretStr


class Referred(str):
    """What a reference of the profile (``{ env = "NAME" }``) led to, where an option takes any value: data, and never a template."""

    __slots__ = ()


class Options(BaseModel):
    """Base of every plugin's options: unknown keys are refused, values are frozen, a docstring per field via ``Field(description=…)``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


#: ``"x"`` or ``["x", "y"]`` in the profile, always a tuple in the program.
Strings = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


def is_secret(info: FieldInfo) -> bool:
    """Whether an option's type holds a Secret (also inside Optional, lists and dicts)."""
    return "SecretStr" in str(info.annotation)
