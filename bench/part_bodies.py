"""Large bodies: throughput, CPU time and memory while 1 GiB goes up or down.

Must never report a figure when a byte was lost or changed: the tool and the upstream compare all of them.
"""

import json
import sys

from busy import Busy
from ratios import against, in_turn, select, shown, summarise
from targets import AT_LEAST, AT_MOST, Target

BYTES = 2**30
TRANSFER_SECONDS_MAX = 90
DIRECTIONS = ("up", "down")
FIELDS = ("mib_per_second", "cpu_ms_per_gib", "growth_kib", "proxy_busy", "load_core_busy")
THROUGHPUT_RATIO_MIN = 0.9
# Flat: less than half a hundredth of the body, whatever buffers and allocator do.
GROWTH_MIB_MAX = 4


def measure_once(session, proxy, direction):
    """One transfer; the memory is how far its peak lay above what the process had before."""
    proxy.process.check_alive()
    before = proxy.process.resident_kib()
    proxy.process.forget_peak()
    cpu_before = proxy.process.cpu_us()
    busy = Busy(proxy.process, session.options)
    output = session.run_tool("body", direction, proxy.port, BYTES, seconds_max=TRANSFER_SECONDS_MAX)
    cpu_us = proxy.process.cpu_us() - cpu_before
    shares = busy.shares()
    seconds = json.loads(output)["duration_us"] / 1e6
    return {
        "proxy": proxy.name,
        "direction": direction,
        "mib_per_second": BYTES / 2**20 / seconds,
        "cpu_ms_per_gib": cpu_us / 1e3 * 2**30 / BYTES,
        "growth_kib": proxy.process.peak_resident_kib() - before,
    } | shares


def measure(session):
    """All rounds of both directions."""
    direct = session.start_scripted_upstream()
    proxies = session.start_proxies(direct.port)
    rounds = []
    for number in range(session.options.body_rounds):
        for direction in DIRECTIONS:
            for proxy in in_turn(proxies, number):
                row = {"round": number + 1} | measure_once(session, proxy, direction)
                rounds.append(row)
                print(
                    f"bodies, round {row['round']}: {direction:<4} {proxy.name:<9} {row['mib_per_second']:>6.0f} MiB/s,"
                    f" {row['cpu_ms_per_gib']:>5.0f} ms CPU, memory + {row['growth_kib']} KiB",
                    file=sys.stderr,
                    flush=True,
                )
    for proxy in proxies:
        session.verify(proxy)
    ratio_fields = ("mib_per_second", "cpu_ms_per_gib")
    return {"bytes": BYTES, "summary": summarise(rounds, ("direction",), FIELDS, ratio_fields), "rounds": rounds}


def targets(result):
    """Throughput divided by nginx's, and the most that memory grew in any round."""
    for direction in DIRECTIONS:
        for entry in select(result["summary"], direction=direction, proxy="sentinel"):
            ratio = against(entry, "nginx", "mib_per_second")
            yield Target(f"1 GiB {direction}: throughput ÷ nginx", ratio, AT_LEAST, THROUGHPUT_RATIO_MIN)
            rows = select(result["rounds"], direction=direction, proxy="sentinel")
            growth_mib = max(row["growth_kib"] for row in rows) / 1024
            yield Target(f"1 GiB {direction}: growth of memory, MiB", growth_mib, AT_MOST, GROWTH_MIB_MAX)


def table(result):
    """The head and the rows of the table."""
    head = ["direction", "proxy", "MiB/s", "÷ nginx", "CPU ms", "÷ nginx", "memory growth KiB", "proxy busy", "load busy"]
    rows = [
        [
            row["direction"],
            row["proxy"],
            f"{row['mib_per_second']:.0f}",
            shown(row, "mib_per_second"),
            f"{row['cpu_ms_per_gib']:.0f}",
            shown(row, "cpu_ms_per_gib"),
            f"{row['growth_kib']:.0f}",
            *(f"{row[name]:.0%}" for name in ("proxy_busy", "load_core_busy")),
        ]
        for row in result["summary"]
    ]
    return head, rows


def remarks(_result):
    """Nothing more to tell."""
    return ()
