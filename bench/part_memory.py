"""Memory: how much a proxy's resident memory grows with each connection that is idle, and with each that streams.

Must never report a figure when one of the connections ended before it was taken.
"""

import json
import subprocess
import sys
import time

from processes import BenchError
from ratios import select
from servers import STREAM_STARTERS
from session import connections_possible
from targets import AT_MOST, Target

CONNECTIONS = 10_000
CLOSE_SECONDS_MAX = 30
RAMP_US = 4_000_000
# So that each stream has had a second event, and what was freed after the first answer has been given back.
SETTLE_SECONDS = 3.0
INTERVAL_US = 2_000_000
# More than can fall due while the connections are held.
EVENTS = 1_000
KINDS = {"idle": 16, "streaming": 24}


def hold(session, proxy, kind):
    """Opens the connections, and returns how many and the growth of resident memory with all of them open, in KiB."""
    count = connections_possible(CONNECTIONS, kind == "streaming", proxy)
    interval_us = INTERVAL_US if kind == "streaming" else 0
    command = [str(session.tool("streams")), "hold", proxy.port, count, RAMP_US, interval_us, EVENTS]
    before = proxy.process.resident_kib()
    tool = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=session.on_load_core,
    )
    try:
        # The tool gives up by itself, and its output then ends.
        is_open = tool.stdout.readline() == "open\n"
        if is_open:
            time.sleep(SETTLE_SECONDS)
        after = proxy.process.resident_kib()
        output, problem = tool.communicate(timeout=CLOSE_SECONDS_MAX)
    finally:
        if tool.poll() is None:
            tool.kill()
            tool.wait()
    if not is_open or tool.returncode != 0:
        raise BenchError(f"{proxy.name} did not keep {count} {kind} connections: {problem[-500:]}")
    held = json.loads(output)
    if kind == "streaming" and held["events_min"] < 2:
        raise BenchError(f"{proxy.name}: a stream had only {held['events_min']} events")
    return count, before, after


def measure(session):
    """Each kind in a process of its own, because memory that was used once is not given back."""
    direct = session.start_scripted_upstream()
    summary = []
    for kind in KINDS:
        for name in session.options.proxies:
            proxy = session.start_proxy(name, direct.port, STREAM_STARTERS)
            time.sleep(1.0)
            count, before, after = hold(session, proxy, kind)
            session.verify(proxy)
            session.stop(proxy.process)
            row = {"kind": kind, "proxy": name, "connections": count, "resident_kib_before": before}
            row |= {"resident_kib_after": after, "kib_per_connection": (after - before) / count}
            summary.append(row)
            print(
                f"memory: {kind:<9} {name:<9} {count} connections, {row['kib_per_connection']:.1f} KiB each",
                file=sys.stderr,
                flush=True,
            )
    return {"summary": summary}


def targets(result):
    """Growth of Sentinel's resident memory per connection."""
    for kind, limit in KINDS.items():
        for row in select(result["summary"], kind=kind, proxy="sentinel"):
            name = f"memory per {kind} connection, KiB ({row['connections']:,} connections)"
            yield Target(name, row["kib_per_connection"], AT_MOST, limit)


def table(result):
    """The head and the rows of the table."""
    head = ["connections", "proxy", "number", "before MiB", "after MiB", "KiB per connection"]
    rows = [
        [
            row["kind"],
            row["proxy"],
            f"{row['connections']:,}",
            f"{row['resident_kib_before'] / 1024:.1f}",
            f"{row['resident_kib_after'] / 1024:.1f}",
            f"{row['kib_per_connection']:.1f}",
        ]
        for row in result["summary"]
    ]
    return head, rows


def remarks(result):
    """Whether the limit of descriptors allowed as many connections as wanted."""
    if any(row["connections"] < CONNECTIONS for row in result["summary"]):
        yield (
            f"The system's limit of open files allowed fewer than {CONNECTIONS:,} connections where a proxy needs (HAProxy:"
            " always reckons with) two descriptors for each."
        )
