"""The complete plugin surface: two hooks, on one screen.

A plugin is a distribution with an entry point in the group ``libax_automate``, named like the connector or model
it offers (one entry point per name, so that a command loads only what its profile uses):

.. code-block:: toml

    [project.entry-points.libax_automate]
    postbox = "libax_connector_postbox"

The module then implements one of these hooks with :data:`hookimpl`.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from libax_automate.connector import Connector
    from libax_automate.model import Model

GROUP = "libax_automate"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The connector classes this plugin offers."""


@hookspec
def automate_models() -> Iterable[type[Model[Any]]]:
    """The model classes this plugin offers."""
