"""The queue without a provider: enqueue, and drain with a sender that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import bare
from benchmarks.rig import Line, Rig, drafts, drain, fill, open_space, timed

NOTHING = 'connector = "nothing"\nconcurrency = 8\nwindow = {window}\n'
#: half a window is one commit
GROUP = 32


def enqueue(rig: Rig) -> Iterator[Line]:
    """100,000 messages into the queue, in one transaction."""
    count = rig.count(100_000)

    def ours() -> float:
        with rig.place() as folder, open_space(folder, NOTHING.format(window=64)) as space:
            space.store  # noqa: B018 - the file is made before the clock starts
            ready = list(drafts(count))
            return count / timed(lambda: fill(space, count, ready=ready))

    def plain() -> float:
        with rig.place() as folder:
            conn = bare.database(folder / "bare.db")
            try:
                return count / bare.enqueue(conn, count)
            finally:
                conn.close()

    def huey() -> float:
        from benchmarks.peer import huey_enqueue

        with rig.place() as folder:
            few = count // 10
            return few / huey_enqueue(folder, few)

    mine, loop, peer = rig.pair(ours, plain, huey)
    yield Line(f"enqueue {count:,}", f"{mine:,.0f}/s", f"bare sqlite3 loop {loop:,.0f}/s", mine / loop, 0.5)
    yield Line("", f"{mine:,.0f}/s", f"huey {peer:,.0f}/s", mine / peer, 3)


def noop(rig: Rig) -> Iterator[Line]:
    """100,000 messages through a sender that does nothing; then 20,000 of 1,000,000 waiting."""
    count, small, large = rig.count(100_000), rig.count(20_000), rig.count(1_000_000)

    def ours() -> float:
        with rig.place() as folder, open_space(folder, NOTHING.format(window=2 * GROUP)) as space:
            fill(space, count)
            return drain(space)[0]

    def plain() -> float:
        with rig.place() as folder:
            conn = bare.database(folder / "bare.db")
            try:
                bare.enqueue(conn, count)
                return count / bare.drain(conn, GROUP)
            finally:
                conn.close()

    mine, loop = rig.pair(ours, plain)
    yield Line(
        f"drain {count:,} with a sender that does nothing, window 64",
        f"{mine:,.0f}/s",
        f"bare sqlite3 loop {loop:,.0f}/s",
        mine / loop,
        0.35,
    )

    nothing = NOTHING.format(window=2 * GROUP)
    with rig.place() as one, open_space(one, nothing) as short, rig.place() as other, open_space(other, nothing) as long:
        rounds = rig.rounds + 1
        fill(short, small * rounds)
        for first in range(0, large, 100_000):
            fill(long, min(100_000, large - first), first=first)
        # the first round of each only warms up
        drain(short, most=small // 2)
        drain(long, most=small // 2)
        few, many = rig.pair(lambda: drain(short, most=small)[0], lambda: drain(long, most=small)[0])
    yield Line(f"{small:,} out of {large:,} waiting", f"{many:,.0f}/s", f"out of {small * rounds:,} {few:,.0f}/s", many / few, 0.9)
