"""``[apps.X]`` tables -> AppSpec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from libax_automate.engine.profile.findings import shown
from libax_automate.engine.profile.keys import AppKeys, name_problem
from libax_automate.engine.profile.positions import Loc
from libax_automate.engine.profile.scope import App, Scope, names_of, split, types_of
from libax_automate.engine.profile.span import rate_of
from libax_automate.engine.redact import secret_leaves
from libax_automate.engine.spec import AppSpec, Rate
from libax_automate.options import Options

#: options that tell one account from another where the secret alone does not
_ACCOUNT = (
    *("base_url", "url", "host", "port", "endpoint", "region", "domain", "subdomain", "tenant"),
    *("login", "user", "username", "account", "account_id", "client_id", "customer_id"),
)


def build_apps(scope: Scope, tables: Mapping[str, Any]) -> dict[str, AppSpec]:
    """The apps of a file; ``scope.apps`` knows the wrong ones too, so that a model naming one is not blamed for it."""
    for name, table in tables.items():
        loc: Loc = ("apps", name)
        if problem := name_problem(name):
            scope.findings.problem(loc, f"app {problem[0]}", problem[1], key=True)
        if isinstance(table, dict):
            scope.apps[name] = _app(scope, name, table, loc)
        else:
            scope.apps[name] = App()
            scope.findings.problem(
                loc, f"apps.{shown(name)[1:-1]} should be a table", f"write [apps.{name[:64]}] and its keys below", key=True
            )
    return {name: app.spec for name, app in scope.apps.items() if app.spec}


def _app(scope: Scope, name: str, raw: Mapping[str, Any], loc: Loc) -> App:
    connector = scope.plugin("connector", raw.get("connector"), (*loc, "connector"))
    own: type[Options] | None = connector.options_type if connector else None
    table = scope.references.table(raw, loc, types_of(AppKeys, own))
    common, mine = split(table, AppKeys, own)
    keys = scope.keys(AppKeys, common, loc, names_of(own) if own else ())
    if connector is None:
        return App()
    options = scope.options(connector, mine, loc, names_of(AppKeys))
    if options is None:
        return App(None, connector)
    concurrency = keys.concurrency or connector.default_concurrency
    line, column = scope.places.get(loc, (1, 1))
    spec = AppSpec(
        name=name,
        connector=keys.connector,
        options=options,
        rate=keys.rate or _default_rate(scope, connector, loc),
        concurrency=concurrency,
        window=keys.window or connector.default_window or 4 * concurrency,
        in_doubt=keys.in_doubt,
        on_recipient_error=keys.on_recipient_error,
        allow_private=keys.allow_private,
        credential=_credential(connector.name, options, scope.references.inside(loc)),
        line=line,
        column=column,
    )
    return App(spec, connector)


def _default_rate(scope: Scope, connector: type[Any], loc: Loc) -> Rate | None:
    try:
        return rate_of(connector.default_rate) if connector.default_rate else None
    except (ValueError, AttributeError):
        scope.findings.problem(
            (*loc, "connector"), f"{connector.name} declares a pace that is none", "a fault of that plugin; set rate = …"
        )
        return None


def _credential(connector: str, options: Options, referenced: list[str]) -> str:
    """A text that is equal for apps of the same account and tells nothing of its secret; "" without one."""
    secrets = [secret.get_secret_value() for _, secret in secret_leaves(options)] + referenced
    if not any(secrets):
        return ""
    account = {key: str(value) for key in _ACCOUNT if (value := getattr(options, key, None)) not in (None, "")}
    text = json.dumps([connector, sorted(set(secrets)), account], sort_keys=True)
    return f"{connector}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
