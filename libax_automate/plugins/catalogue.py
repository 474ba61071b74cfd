"""What is installed: connectors and models behind the entry points, loaded one by one and only when used.

A plugin is trusted code and still may not take the program down: whatever its import raises becomes a line in
:meth:`Catalogue.entries`, and a :class:`PluginError` for whoever asks for that very plugin.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from libax_automate.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from libax_automate.connector import Connector
    from libax_automate.model import Model

Kind = Literal["connector", "model", "broken"]

GROUP = "libax_automate"

#: names of plugins that shall not be loaded, with commas between them
DISABLE = "AUTOMATE_DISABLE_PLUGINS"

#: connectors published beside this package, each as ``libax-connector-NAME``
PUBLISHED = frozenset(
    {
        *("apprise", "bitrix24", "brevo", "easypay", "eupago", "ifthenpay", "ixc-provedor", "jira", "lahar", "libax-business", "mailchimp"),
        *("movidesk", "opa-suite", "piperun", "rd-station", "rest", "sendgrid", "slack", "sql", "superlogica", "superlogica-sign"),
        *("twilio", "whatsapp-cloud", "zenvia"),
    }
)

#: a reason is one line for a table, not a traceback
_REASON_LENGTH = 300
_USERINFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|WEBHOOK", re.IGNORECASE)
#: shorter values are more likely a port or "yes" than a secret, and masking them would garble the reason
_SECRET_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One installed plugin, usable or not.

    ``cls`` is its class and ``error`` is empty, or the kind is ``"broken"`` and ``error`` says why in one line without secrets.
    ``distribution`` and ``version`` name the package to blame or upgrade; they are empty for an entry point without metadata.
    """

    name: str
    kind: Kind
    distribution: str
    version: str
    module: str
    cls: type[Any] | None = None
    error: str = ""

    @property
    def package(self) -> str:
        """The distribution with its version, for people; the module where there is no distribution."""
        return f"{self.distribution} {self.version}".strip() or self.module


@dataclass(frozen=True, slots=True)
class _Offer:
    """What one entry point turned out to hold; its distribution is looked up only when somebody asks."""

    point: EntryPoint
    kind: Kind
    cls: type[Any] | None = None
    error: str = ""


class Catalogue:
    """The plugins of the entry-point group ``libax_automate``: read by name, loaded when used, each for itself.

    ``entry_points`` replaces what is installed (tests, embedding); ``environ`` is where ``AUTOMATE_DISABLE_PLUGINS``
    (names with commas between) is read. A plugin is imported at most once per catalogue, broken ones included.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None, *, environ: Mapping[str, str] | None = None) -> None:
        self._given = entry_points
        environ = os.environ if environ is None else environ
        self._disabled = frozenset(name.strip() for name in environ.get(DISABLE, "").split(",") if name.strip())
        self._loaded: dict[str, tuple[_Offer, ...]] = {}

    def connector(self, name: str) -> type[Connector[Any]]:
        """The connector class called ``name``; raises PluginError saying what is installed, or why this one cannot be used."""
        return self._use(name, "connector")

    def model(self, name: str) -> type[Model[Any]]:
        """The model class called ``name``; raises PluginError saying what is installed, or why this one cannot be used."""
        return self._use(name, "model")

    def entries(self) -> list[Entry]:
        """Every installed plugin by name; loads them all, and lists those that cannot be loaded with the reason."""
        return [_entry(offer) for name in sorted(self._points) for offer in self._load(name)]

    def names(self, kind: Kind | None = None) -> tuple[str, ...]:
        """The names of all plugins of ``kind``, sorted; with None the names of all entry points, without loading any."""
        if kind is None:
            return tuple(sorted(self._points))
        return tuple(dict.fromkeys(name for name in sorted(self._points) for offer in self._load(name) if offer.kind == kind))

    @functools.cached_property
    def _points(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        points = self._given
        if points is None:
            from importlib.metadata import entry_points

            points = entry_points(group=GROUP)
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for point in points:
            found[point.name] = (*found.get(point.name, ()), point)
        return found

    def _use(self, name: str, kind: Kind) -> type[Any]:
        offers = self._load(name)
        for offer in offers:
            if offer.kind == kind and offer.cls is not None:
                return offer.cls
        for offer in offers:
            if offer.kind == "broken":
                entry = _entry(offer)
                raise PluginError(f"{kind} {name!r} ({entry.package}) cannot be used: {entry.error}", hint=_repair(entry, self._disabled))
        if offers:
            raise PluginError(f"{name!r} is a {offers[0].kind}, not a {kind}", hint=f"`automate {kind}s list` shows every {kind}")
        installed = self.names(kind)
        guess = _did_you_mean(name, (*installed, *self.names("broken")))
        raise PluginError(
            f"no {kind} {name!r} is installed.{guess} Installed: {', '.join(installed) or 'none'}", hint=_how_to_get(name, kind)
        )

    def _load(self, name: str) -> tuple[_Offer, ...]:
        if name not in self._loaded:
            points = self._points.get(name, ())
            if name in self._disabled:
                self._loaded[name] = tuple(_Offer(point, "broken", error=f"disabled by {DISABLE}") for point in points)
            elif len(points) > 1:
                both = " and ".join(_entry(_Offer(point, "broken")).package for point in points)
                self._loaded[name] = tuple(_Offer(point, "broken", error=f"{both} both offer {name!r}; remove one") for point in points)
            else:
                self._loaded[name] = tuple(offer for point in points for offer in _offers(point))
        return self._loaded[name]


@functools.cache
def default_catalogue() -> Catalogue:
    """The catalogue of this process, with the environment as it was when first asked for."""
    return Catalogue()


def _offers(point: EntryPoint) -> tuple[_Offer, ...]:
    """Import the plugin and ask its hooks; never raises, save for the person's own Ctrl-C."""
    try:
        # stdout is the answer of a command: what a plugin prints while it is imported may not get into it
        with contextlib.redirect_stdout(sys.stderr):
            classes = _classes(point)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may call sys.exit() at import: that is its failure, not our end
        return (_Offer(point, "broken", error=_reason(error)),)
    offers = tuple(_judged(point, kind, cls) for kind, cls in classes if getattr(cls, "name", None) == point.name)
    if offers:
        return offers
    names = ", ".join(repr(getattr(cls, "name", None) or getattr(cls, "__name__", cls)) for _, cls in classes)
    why = f"offers {names}" if names else "implements neither automate_connectors nor automate_models"
    return (_Offer(point, "broken", error=f"{point.module} is listed as {point.name!r} but {why}; class name and entry point must agree"),)


def _classes(point: EntryPoint) -> list[tuple[Kind, Any]]:
    """The classes that the module's hooks return; raises whatever goes wrong, a misspelt hook included."""
    import pluggy

    from libax_automate import hookspecs

    plugin = point.load()
    # a manager of its own for each plugin: neither an error nor a slow hook of one can touch another
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name=point.name)
    manager.check_pending()
    classes: list[tuple[Kind, Any]] = []
    hooks: tuple[tuple[Kind, Any], ...] = (("connector", manager.hook.automate_connectors), ("model", manager.hook.automate_models))
    for kind, hook in hooks:
        for impl in hook.get_hookimpls():
            classes += [(kind, cls) for cls in impl.function()]
    return classes


def _judged(point: EntryPoint, kind: Kind, cls: Any) -> _Offer:
    """``cls`` as an offer, broken where it is not what its hook promises."""
    from libax_automate.connector import Connector
    from libax_automate.model import Model

    base: type = Connector if kind == "connector" else Model
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return _Offer(point, "broken", error=f"automate_{kind}s returned {cls!r}, which is no {base.__name__} class")
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if not missing and kind == "model" and cls.plan is Model.plan:  # type: ignore[attr-defined]  # narrowed to Model by ``base``
        missing = ["plan"]
    if missing:
        return _Offer(point, "broken", error=f"{cls.__name__} does not define {', '.join(missing)}")
    return _Offer(point, kind, cls)


def _entry(offer: _Offer) -> Entry:
    distribution = version = ""
    # damaged metadata of a stranger's package must not hide its other troubles
    with contextlib.suppress(Exception):
        if offer.point.dist is not None:
            distribution, version = offer.point.dist.name, offer.point.dist.version
    return Entry(offer.point.name, offer.kind, distribution, version, offer.point.module, offer.cls, offer.error)


def _reason(error: BaseException) -> str:
    """One line saying what went wrong, with URL credentials and secret-looking values of the environment masked."""
    text = " ".join(str(error).split())
    text = _USERINFO.sub("***", text)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SECRET_LENGTH:
            text = text.replace(value, "***")
    if len(text) > _REASON_LENGTH:
        text = text[: _REASON_LENGTH - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _repair(entry: Entry, disabled: frozenset[str]) -> str:
    if entry.name in disabled:
        return f"take {entry.name!r} out of {DISABLE}"
    if entry.distribution:
        return f"pip install --upgrade {entry.distribution}, or remove it; `automate plugins list` shows every plugin"
    return "`automate plugins list` shows every plugin with its reason"


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name.lower().replace("_", "-"), names, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _how_to_get(name: str, kind: Kind) -> str:
    wanted = name.lower().replace("_", "-")
    if kind == "connector" and wanted in PUBLISHED:
        return f"pip install libax-connector-{wanted}"
    return f"`automate {kind}s list` shows what is installed"
