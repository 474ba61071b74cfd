"""Payment references for the messages of a run: asked for once ever, kept, and given to the wording (LX-28).

The intention is committed before the operator is called, and the reference after. Where a process dies in between, the next one asks the
operator what it made, and asks again only where the operator is known to refuse a second reference for the same id. Calls keep the app's
``rate`` as messages do, over processes and over all apps on its credential.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from libax_automate.connector import Capability, Reference, Referencer
from libax_automate.engine.pace import Pacer
from libax_automate.engine.spec import Profile
from libax_automate.errors import ConnectorError, ContentError, OutcomeUnknown, ProfileError
from libax_automate.model import Payable

if TYPE_CHECKING:
    from libax_automate.engine.store import Store
    from libax_automate.engine.workspace import Workspace

#: what a plan shows in place of a reference that only a real run asks for
LATER = "(created at run)"
#: the placeholders that references fill
PLACEHOLDERS = frozenset({"entity", "reference", "payments"})


class References:
    """The references of one app for one plan; ``create`` is False wherever nothing may happen outside."""

    def __init__(self, space: Workspace, profile: Profile, app: str, *, create: bool) -> None:
        if app not in profile.apps:
            raise ProfileError(f"references: no app is named {app!r}", hint=f"there are: {', '.join(profile.apps) or 'none'}")
        found = space.connector(profile, profile.apps[app])
        if not isinstance(found, Referencer):
            raise ProfileError(f"references: app {app!r} ({found.name}) makes no payment references", hint="automate connectors list")
        self._space, self._profile, self._app, self._create = space, profile.name, app, create
        self._spec = profile.apps[app]
        self._connector: Referencer[Any] = found
        self._opened = False
        self._pacer: Pacer | None = None
        self._credential = 0

    def fill(self, payables: Sequence[Payable]) -> dict[str, Any] | str:
        """The placeholders for a message about ``payables``, or why one of them has no reference.

        Raises the ConnectorError of an operator that cannot be asked now.
        """
        payments = []
        for payable in payables:
            made = self._of(payable)
            if isinstance(made, str):
                return made
            if made is not None and made.amount != payable.amount:
                return f"payment reference {made.reference} of {payable.number} is for {made.amount}, and {payable.amount} is owed"
            entity, reference = (made.entity, made.reference) if made else (LATER, LATER)
            payments.append(
                {"number": payable.number, "entity": entity, "reference": reference, "amount": payable.amount, "due": payable.due}
            )
        filled: dict[str, Any] = {"payments": payments}
        if len(payments) == 1:
            filled |= {"entity": payments[0]["entity"], "reference": payments[0]["reference"]}
        return filled

    def _of(self, payable: Payable) -> Reference | str | None:
        """The reference, why there can be none, or None where it is a real run's to make."""
        store = self._space.store if self._create else self._space.existing_store()
        kept = store.payments.get(self._profile, self._app, payable.our_id) if store is not None else None
        if kept is not None and kept.reference is not None:
            return kept.reference
        if store is None or not self._create:
            return None
        if not self._opened:
            self._open(store)
        if kept is not None and not payable.again and (found := self._unfinished(store, payable)) is not None:
            if isinstance(found, Reference):
                store.payments.keep(self._profile, self._app, payable.our_id, found, self._space.now())
            return found
        return self._make(store, payable)

    def _unfinished(self, store: Store, payable: Payable) -> Reference | str | None:
        """What came of a call that nobody saw the end of; None where it can safely be made again."""
        self._take_turn()
        with store.write():
            self._keep_pace(store)
        found = self._connector.find_reference(payable.our_id)
        if found is not None:
            return found
        if Capability.IDEMPOTENCY_KEY in self._connector.offers():
            return None
        return (
            f"whether {self._app} made a payment reference for {payable.number} is not known: look there for {payable.our_id}, "
            f"then retry_references = [{payable.our_id!r}]"
        )

    def _make(self, store: Store, payable: Payable) -> Reference | str:
        self._take_turn()
        with store.write():
            store.payments.intend(self._profile, self._app, payable.our_id, self._space.now())
            self._keep_pace(store)
        try:
            made = self._connector.create_reference(payable.our_id, payable.amount, currency=payable.currency, due=payable.due)
        except OutcomeUnknown as error:
            return f"payment reference of {payable.number}: {self._space.redactor.text(error.message)}"
        except ContentError as error:
            store.payments.withdraw(self._profile, self._app, payable.our_id)
            return f"payment reference of {payable.number}: {self._space.redactor.text(error.message)}"
        except ConnectorError:
            store.payments.withdraw(self._profile, self._app, payable.our_id)
            raise
        store.payments.keep(self._profile, self._app, payable.our_id, made, self._space.now())
        return made

    # -- the pace --------------------------------------------------------------------------------------------------------

    def _open(self, store: Store) -> None:
        self._connector.open()
        self._opened = True
        if self._spec.rate is None:
            return
        with store.write():
            app_id = store.apps.register(self._profile, self._app, self._spec.connector, self._spec.credential)
        self._credential = store.apps.credential(app_id)
        self._pacer = Pacer(self._spec.rate, self._space.clock, store.apps.pace(self._credential))

    def _take_turn(self) -> None:
        """Wait for the moment at which the next call may start."""
        if self._pacer is not None and (wait := self._pacer.reserve()) > 0:
            self._space.clock.sleep(wait)

    def _keep_pace(self, store: Store) -> None:
        """Before the call, so that a process that dies in it leaves the pace to the next."""
        if self._pacer is not None:
            store.apps.keep_pace(self._credential, self._pacer.next_call(), succeeded=False)

    def close(self) -> None:
        """Let go of the operator; safe twice."""
        if self._opened:
            self._connector.close()
            self._opened = False
