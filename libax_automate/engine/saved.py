"""A plan kept in a file: compared with what the source says later, and applied only if nothing has drifted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

from libax_automate.engine.outbox import Draft, Verdict, dump
from libax_automate.engine.plan import Moment, Plan, pages, plan_model
from libax_automate.engine.run import month_of
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.walltime import Slot
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import AutomateError, InputDataError, StoreError
from libax_automate.message import Channel

_VERSION = 1
#: differences that one refusal names; the rest is counted
_NAMED = 20


class Drift(AutomateError):
    """What would leave now is not what was planned; ``changes`` says how."""

    kind = "drift"

    def __init__(self, changes: list[str]) -> None:
        shown = "; ".join(changes[:_NAMED]) + (f"; and {len(changes) - _NAMED} more" if len(changes) > _NAMED else "")
        super().__init__(f"the plan no longer fits: {shown}", hint="make it anew: automate plan MODEL --save FILE")
        self.changes = changes


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan file's content."""

    profile: str
    model: str
    slot: str
    slot_at: datetime
    made_at: datetime
    on: date | None
    items: tuple[Mapping[str, Any], ...]

    @property
    def sends(self) -> list[Mapping[str, Any]]:
        """What would leave, now or when its hour comes."""
        return [item for item in self.items if item["verdict"] != "excluded"]


def save(plan: Plan, drafts: Iterable[Draft], path: Path, *, on: date | None) -> None:
    """Write a plan's drafts with every person, text and reason; readable by its owner alone, for it holds names and addresses.

    Written as the drafts stream by, and under its name only when it is whole: a plan that fails leaves an earlier file as it was.
    """
    moment = plan.moment
    head = {
        "version": _VERSION, "profile": plan.profile.name, "model": plan.spec.name, "slot": moment.slot.key,
        "slot_at": moment.slot.instant.isoformat(), "made_at": plan.space.clock.now().isoformat(), "on": on.isoformat() if on else None,
    }  # fmt: skip
    partial = path.with_name(path.name + ".partial")
    try:
        with _opened(partial) as file:
            file.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "items": [')
            mark = "\n  "
            for draft in drafts:
                file.write(mark + json.dumps(_item(draft), ensure_ascii=False))
                mark = ",\n  "
            file.write("\n ]\n}\n")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="give another file") from None
    finally:
        partial.unlink(missing_ok=True)


def _opened(path: Path) -> IO[str]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8")


def load(path: Path) -> Saved:
    """Read a plan file; raises InputDataError where it is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["version"] != _VERSION:
            raise InputDataError(f"{path}: is a plan of version {body['version']}", hint="make it anew with this program")
        return Saved(
            body["profile"], body["model"], body["slot"], datetime.fromisoformat(body["slot_at"]), datetime.fromisoformat(body["made_at"]),
            date.fromisoformat(body["on"]) if body["on"] else None, tuple(body["items"]),
        )  # fmt: skip
    except OSError as error:
        raise InputDataError(f"{path}: {error.strerror}", hint="automate plan MODEL --save FILE writes one") from None
    except (ValueError, KeyError, TypeError):
        raise InputDataError(f"{path}: is no plan", hint="automate plan MODEL --save FILE writes one") from None


def _item(draft: Draft) -> dict[str, Any]:
    content = dump(draft.payload)
    return {
        "person": draft.person, "name": draft.name, "step": draft.step, "occasion": draft.occasion, "verdict": str(draft.verdict),
        "reason": draft.reason, "app": draft.app, "channel": str(draft.channel or ""), "to": draft.to, "payload": json.loads(content),
        "hash": hashlib.sha256(f"{draft.app}\0{draft.to}\0{content}".encode()).hexdigest(),
    }  # fmt: skip


def drift(saved: Saved, drafts: Iterable[Draft]) -> list[str]:
    """What differs between a saved plan and a plan made now, in words; empty = nothing."""
    before = {(item["step"], item["person"], item["occasion"]): item for item in saved.items}
    changes, seen = [], set()
    for draft in drafts:
        now = _item(draft)
        key = (draft.step, draft.person, draft.occasion)
        seen.add(key)
        who = draft.name or draft.person
        then = before.get(key)
        if draft.known:
            continue  # in the ledger by now: it is not sent again, whatever the plan says
        if then is None:
            if now["verdict"] != "excluded":
                changes.append(f"{who} is new")
        elif (then["verdict"] == "excluded") != (now["verdict"] == "excluded"):
            changes.append(f"{who} was {then['verdict']} and is now {now['verdict']}: {now['reason'] or then['reason']}")
        elif now["verdict"] != "excluded" and then["hash"] != now["hash"]:
            what = next((key for key in ("to", "app") if then[key] != now[key]), "text")
            changes.append(f"{who}: another {what}" + (f" ({then[what]} → {now[what]})" if what != "text" else ""))
    changes += [
        f"{item['name'] or item['person']} is gone" for key, item in before.items() if key not in seen and item["verdict"] != "excluded"
    ]
    return changes


def apply(space: Workspace, saved: Saved) -> tuple[int, int]:
    """Queue exactly what was planned, as a task of its own; raises Drift where the source says otherwise now.

    Returns the task's id and how many messages are new in the queue. Applying twice queues nothing twice.
    """
    profile, spec = space.model(f"{saved.profile}/{saved.model}")
    plan = plan_model(space, profile, spec, on=saved.on)
    if saved.on is None:
        # made for its own moment: read again as of then, or every clock tick would be drift
        slot = Slot(datetime.fromisoformat(saved.slot.removesuffix("+fold")), saved.slot_at)
        moment = Moment(
            slot=slot,
            first=slot.local.date(),
            last=slot.local.date(),
            bookmark=plan.moment.bookmark,
            since=plan.moment.since,
            now=saved.slot_at,
        )
        plan = Plan(space, profile, spec, plan.recipe, moment)
    drafts = list(plan.drafts)
    if changes := drift(saved, drafts):
        raise Drift(changes)
    if plan.recipe.referencer() is not None:  # nothing has drifted: now the references may be made
        plan = Plan(space, profile, spec, plan.recipe, plan.moment, create=True)
        drafts = list(plan.drafts)
    # a draft without a channel is a line of a file, which is written and not sent
    leaving = [_leaving(draft, saved, space) for draft in drafts if draft.verdict is not Verdict.EXCLUDED and draft.channel is not None]
    for roll in plan.rolls:
        roll.write()
    return _queue(space, profile, spec, plan, leaving)


def _leaving(draft: Draft, saved: Saved, space: Workspace) -> Draft:
    # whoever applies a plan has approved it; and a plan for another day leaves on that day
    draft.approve = False
    if draft.not_before is None and saved.slot_at > space.clock.now():
        draft.not_before = saved.slot_at
    return draft


def _queue(space: Workspace, profile: Profile, spec: ModelSpec, plan: Plan, drafts: list[Draft]) -> tuple[int, int]:
    from libax_automate.engine import duty

    store, now = space.store, space.now()
    row = duty.see(space, profile, spec)
    specs = space.apps(profile)
    apps = {
        name: store.apps.register(profile.name, name, specs[name].connector, specs[name].credential) for name in {d.app for d in drafts}
    }
    with store.write():
        task = store.tasks.open_slot(
            row.id, slot=f"{plan.moment.slot.key} (applied {datetime.fromtimestamp(now, UTC).isoformat()})", slot_at=now,
            first_day=plan.moment.first.isoformat(), last_day=plan.moment.last.isoformat(), now=now, trigger="apply",
        )  # fmt: skip
        assert task is not None
        queued = store.queue.enqueue(_calls(drafts, profile, spec, plan), model_id=row.id, task_id=task, apps=apps, now=now)
        store.tasks.finish(
            task, now=now, month=month_of(now, profile), bookmark=None, planned=sum(plan.counts.values()), excluded=plan.counts["excluded"],
            queued=queued, bad_rows=plan.bad,
        )  # fmt: skip
    return task, queued


def _calls(drafts: list[Draft], profile: Profile, spec: ModelSpec, plan: Plan) -> Iterator[Draft]:
    if spec.webhook is None or not any(draft.channel is Channel.WEBHOOK for draft in drafts):
        yield from drafts
        return
    for call, people in pages(iter(drafts), profile=profile.name, spec=spec, slot=plan.moment.slot):
        yield call
        yield from people
