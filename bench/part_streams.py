"""Streams: CPU time per server-sent event, what the proxy adds to its latency, and the time to the first event.

Must never report a figure when one of the events did not arrive.
"""

import json
import sys

from busy import Busy
from ratios import against, in_turn, select, shown, summarise
from servers import STREAM_STARTERS
from targets import AT_MOST, Target

RUN_SECONDS_MAX = 60
FIELDS = ("cpu_us", "latency_p50_us", "latency_p99_us", "added_p50_us", "added_p99_us", "first_event_p50_us")
FIELDS += ("first_event_p99_us", "proxy_busy", "load_core_busy")
# Streams, time between their events in µs, events of one stream, streams after each other on one connection, and the
# time over which the connections are opened, in µs.
LOADS = [
    {"streams": 20, "interval_us": 5_000, "events": 200, "repeats": 3, "ramp_us": 5_000},
    {"streams": 5_000, "interval_us": 500_000, "events": 10, "repeats": 1, "ramp_us": 2_000_000},
]
CPU_TARGETS = [(20, 1.0), (5_000, 1.2)]
FIRST_EVENT_RATIO_MAX = 1.2


def measure_once(session, proxy, load):
    """One load through one proxy, or straight to the upstream."""
    proxy.process.check_alive()
    pids = proxy.process.pids()
    busy = Busy(proxy.process, session.options)
    order = [load[name] for name in ("streams", "interval_us", "events", "repeats", "ramp_us")]
    output = session.run_tool("streams", "run", proxy.port, *order, *pids, seconds_max=RUN_SECONDS_MAX)
    row = json.loads(output)
    row["cpu_us_in_window"] = row["cpu_us"]
    row["cpu_us"] /= row["window_events"]
    return {"proxy": proxy.name, "streams": load["streams"]} | row | busy.shares()


def measure_load(session, load, number, direct, proxies):
    """One round of one load: first without a proxy, then through each, with what it adds."""
    straight = {"round": number + 1} | measure_once(session, direct, load)
    # The upstream runs on the load's core: what ran on the proxy's is not its.
    straight |= {"added_p50_us": 0.0, "added_p99_us": 0.0, "others_on_proxy_core": 0.0}
    yield straight
    for proxy in in_turn(proxies, number):
        row = {"round": number + 1} | measure_once(session, proxy, load)
        for quantile in ("p50", "p99"):
            row[f"added_{quantile}_us"] = row[f"latency_{quantile}_us"] - straight[f"latency_{quantile}_us"]
        yield row


def measure(session):
    """All rounds of all loads."""
    direct = session.start_scripted_upstream()
    proxies = session.start_proxies(direct.port, STREAM_STARTERS)
    rounds = []
    for number in range(session.options.stream_rounds):
        for load in LOADS:
            for row in measure_load(session, load, number, direct, proxies):
                rounds.append(row)
                print(
                    f"streams, round {row['round']}: {row['streams']:>4} streams, {row['proxy']:<9} {row['cpu_us']:>6.1f} µs"
                    f" CPU per event, first event p50 {row['first_event_p50_us']:.0f} µs, {row['events']} events",
                    file=sys.stderr,
                    flush=True,
                )
    for proxy in proxies:
        session.verify(proxy)
    ratio_fields = ("cpu_us", "latency_p50_us", "first_event_p50_us")
    return {"loads": LOADS, "summary": summarise(rounds, ("streams",), FIELDS, ratio_fields), "rounds": rounds}


def targets(result):
    """CPU time per event and time to the first event, each divided by nginx's."""
    for field, text, limits in (
        ("cpu_us", "CPU time per event ÷ nginx", CPU_TARGETS),
        ("first_event_p50_us", "first event p50 ÷ nginx", [(streams, FIRST_EVENT_RATIO_MAX) for streams, _ in CPU_TARGETS]),
    ):
        for streams, limit in limits:
            for entry in select(result["summary"], streams=streams, proxy="sentinel"):
                yield Target(f"{text}, {streams:,} streams", against(entry, "nginx", field), AT_MOST, limit)


def table(result):
    """The head and the rows of the table."""
    head = ["streams", "proxy", "CPU µs per event", "÷ nginx", "added p50 µs", "added p99 µs", "first event p50 µs"]
    head += ["÷ nginx", "first event p99 µs", "proxy busy", "load busy"]
    rows = []
    for row in result["summary"]:
        is_proxy = row["proxy"] != "direct"
        rows.append(
            [
                f"{row['streams']:,}",
                row["proxy"],
                f"{row['cpu_us']:.1f}" if is_proxy else "-",
                shown(row, "cpu_us") if is_proxy else "-",
                *(f"{row[name]:.0f}" for name in ("added_p50_us", "added_p99_us", "first_event_p50_us")),
                shown(row, "first_event_p50_us") if is_proxy else "-",
                f"{row['first_event_p99_us']:.0f}",
                f"{row['proxy_busy']:.0%}" if is_proxy else "-",
                f"{row['load_core_busy']:.0%}",
            ]
        )
    return head, rows


def remarks(result):
    """Where the added latency is counted from."""
    direct = select(result["summary"], proxy="direct")
    texts = [f"{row['latency_p50_us']:.0f} / {row['latency_p99_us']:.0f} µs at {row['streams']:,} streams" for row in direct]
    yield f"Latency without a proxy (p50 / p99), which the added latency comes on top of: {', '.join(texts)}."
