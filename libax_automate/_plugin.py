"""What connectors and models share: a name, typed options, and a word about themselves."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from libax_automate.options import Options

OptionsT = TypeVar("OptionsT", bound=Options)


class Plugin(Generic[OptionsT]):
    """Base of connectors and models; the type argument is the plugin's ``Options`` class."""

    #: kebab-case; equal to the entry point's name and to what a profile writes
    name: ClassVar[str]
    #: one line for lists
    title: ClassVar[str] = ""
    #: found from the type argument when the class is made
    options_type: ClassVar[type[Options]] = Options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Plugin):
                for argument in get_args(base):
                    if isinstance(argument, type) and issubclass(argument, Options):
                        cls.options_type = argument

    def __init__(self, options: OptionsT) -> None:
        self.options = options
