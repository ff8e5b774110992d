"""Refusals: what one costs beside a permitted request, and what an attack costs: rows, memory, and the time of those who are permitted.

Must never report a figure of a run in which a refusal is not in the audit log.
"""

import selectors
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from busy import Busy
from keys import BODY, CONNECTIONS, KEYS, connect, key, send
from part_requests import run_wrk
from processes import BenchError
from servers import start_sentinel
from targets import AT_MOST, Target

ATTACK_ADDRESSES = 1_000
ATTACK_KEYS = 100
ATTACK_REQUESTS = 50_000
ATTACK_SECONDS_MAX = 60
DRAIN_SECONDS_MAX = 30
ALLOWED_CONNECTIONS = 8
ALLOWED_SECONDS = 4
CPU_RATIO_MAX = 0.7
ROWS_PER_SECOND_MAX = 2 * 2_000 + 4_096 + 18
GROWTH_MIB_MAX = 64


def bind_elsewhere(proxy):
    """The first use of each key, from another address than the load's."""

    def bind(first):
        connection = connect(proxy, source="127.0.0.2")
        try:
            for number in range(first, KEYS + 1, CONNECTIONS):
                status, body = send(connection, number)
                if status != 200:
                    raise BenchError(f"{proxy.name} answered {status} to key {number}: {body[:300]!r}")
        finally:
            connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for outcome in [pool.submit(bind, first) for first in range(1, CONNECTIONS + 1)]:
            outcome.result()


def cost(proxy, connections, refused, options):
    """CPU time and latency of requests that are all permitted, or all refused."""
    run_wrk(proxy.port, connections, options.warm_seconds, options.load_core, refused)
    cpu_before = proxy.process.cpu_us()
    busy = Busy(proxy.process, options)
    result = run_wrk(proxy.port, connections, options.seconds, options.load_core, refused)
    cpu_us = (proxy.process.cpu_us() - cpu_before) / result["requests"]
    shares = busy.shares()
    return {
        "connections": connections,
        "refused": refused,
        "requests_per_second": result["requests"] / (result["duration_us"] / 1e6),
        "cpu_us": cpu_us,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
    } | shares


def requests_of(number):
    """What the attacker with this number sends, all at once."""
    each = ATTACK_REQUESTS // ATTACK_ADDRESSES
    heads = []
    for turn in range(each):
        bound = (number * each + turn) % ATTACK_KEYS + 1
        heads.append(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: bench.test\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key(bound)}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY.decode()}"
        )
    return "".join(heads).encode()


def attack(proxy):
    """Sends all of the attack and reads every refusal; gives how many there were, and how long that took."""
    selector = selectors.DefaultSelector()
    each = ATTACK_REQUESTS // ATTACK_ADDRESSES
    connections = []
    for number in range(ATTACK_ADDRESSES):
        connection = connect(proxy, source=f"127.0.{2 + number // 250}.{1 + number % 250}")
        connections.append((connection, requests_of(number)))
    begun = time.monotonic()
    for connection, requests in connections:
        connection.sendall(requests)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, [0, b""])
    refused = 0
    while selector.get_map():
        if time.monotonic() - begun > ATTACK_SECONDS_MAX:
            raise BenchError(f"{refused} of {ATTACK_REQUESTS} were answered in {ATTACK_SECONDS_MAX} s")
        for entry, _ in selector.select(1):
            received = entry.fileobj.recv(1 << 20)
            # A status line may lie across two reads.
            text = entry.data[1] + received
            entry.data[0] += text.count(b"HTTP/1.1 403 ")
            entry.data[1] = text[-12:]
            if not received or entry.data[0] == each:
                refused += entry.data[0]
                selector.unregister(entry.fileobj)
                entry.fileobj.close()
    return refused, time.monotonic() - begun


def logged(data):
    """Rows and refusals in the audit log."""
    with sqlite3.connect(f"file:{data / 'sentinel.db'}?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*), coalesce(sum(count), 0) FROM intercept_logs").fetchone()


def under_attack(proxy, options):
    """The attack beside permitted requests."""
    allowed = {}

    def permit():
        allowed.update(run_wrk(proxy.port, ALLOWED_CONNECTIONS, ALLOWED_SECONDS, options.load_core))

    quiet = run_wrk(proxy.port, ALLOWED_CONNECTIONS, ALLOWED_SECONDS, options.load_core)
    rows_before, refusals_before = logged(proxy.data)
    memory_before = proxy.process.resident_kib()
    proxy.process.forget_peak()
    beside = threading.Thread(target=permit)
    beside.start()
    refused, seconds = attack(proxy)
    beside.join()
    if refused != ATTACK_REQUESTS:
        raise BenchError(f"{refused} of {ATTACK_REQUESTS} were refused")
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while logged(proxy.data)[1] - refusals_before < refused:
        if time.monotonic() > deadline:
            raise BenchError(f"{logged(proxy.data)[1] - refusals_before} of {refused} refusals are in the audit log")
        time.sleep(0.1)
    rows, refusals = logged(proxy.data)
    if refusals - refusals_before != refused:
        raise BenchError(f"{refusals - refusals_before} refusals are in the audit log, not {refused}")
    return {
        "refused": refused,
        "seconds": seconds,
        "rows": rows - rows_before,
        "memory_growth_kib": proxy.process.peak_resident_kib() - memory_before,
        "allowed_p99_us": allowed["p99_us"],
        "allowed_p99_us_before": quiet["p99_us"],
    }


def measure(session):
    """All rounds, permitted and refused in turn, and then the attack."""
    options = session.options
    _, upstream_port = session.start_fixed_upstream()
    permitting = session.start_proxy("sentinel", upstream_port)
    refusing = start_sentinel(session.folder, upstream_port, {options.proxy_core}, session.folder / "elsewhere")
    session.started.append(refusing.process)
    refusing.process.wait_for_port(refusing.port)
    bind_elsewhere(refusing)
    rounds = []
    for number in range(options.rounds):
        for connections in options.connections:
            for proxy, refused in ((permitting, False), (refusing, True)):
                row = {"round": number + 1, "proxy": proxy.name} | cost(proxy, connections, refused, options)
                rounds.append(row)
                word = "refused" if refused else "permitted"
                print(
                    f"refusals, round {row['round']}: {connections:>4} connections, {word:<9}"
                    f" {row['requests_per_second']:>8.0f} requests/s, {row['cpu_us']:>6.1f} µs CPU per request",
                    file=sys.stderr,
                    flush=True,
                )
    return {"rounds": rounds, "attack": under_attack(permitting, options)}


def ratios(rounds, connections):
    """CPU per refusal divided by that of a permitted request, of each round."""
    found = {(row["round"], row["refused"]): row["cpu_us"] for row in rounds if row["connections"] == connections}
    return sorted(found[number, True] / found[number, False] for number, refused in found if refused)


def targets(result):
    """What a refusal and an attack may cost."""
    for connections in sorted({row["connections"] for row in result["rounds"]}):
        found = ratios(result["rounds"], connections)
        name = f"CPU per refusal ÷ permitted request, {connections} connections"
        yield Target(name, found[len(found) // 2], AT_MOST, CPU_RATIO_MAX)
    attacked = result["attack"]
    # The attack touches one second more than it lasts.
    rows_max = ROWS_PER_SECOND_MAX * (int(attacked["seconds"]) + 2)
    yield Target("rows of 50,000 refusals", attacked["rows"], AT_MOST, rows_max)
    yield Target("MiB that they cost for a while", attacked["memory_growth_kib"] / 1024, AT_MOST, GROWTH_MIB_MAX)


def table(result):
    """The head and the rows of the table."""
    head = ["connections", "requests", "requests/s", "CPU µs", "p50 µs", "p99 µs"]
    rows = [
        [
            str(row["connections"]),
            "refused" if row["refused"] else "permitted",
            f"{row['requests_per_second']:.0f}",
            f"{row['cpu_us']:.1f}",
            str(row["p50_us"]),
            str(row["p99_us"]),
        ]
        for row in result["rounds"]
    ]
    return head, rows


def remarks(result):
    """What else was measured, as sentences."""
    attacked = result["attack"]
    yield (
        f"{attacked['refused']} refusals from {ATTACK_ADDRESSES} addresses with {ATTACK_KEYS} keys in"
        f" {attacked['seconds']:.1f} s: {attacked['rows']} rows, {attacked['memory_growth_kib'] / 1024:.1f} MiB for a while."
    )
    yield (
        f"Permitted requests beside them: p99 {attacked['allowed_p99_us']} µs, without them"
        f" {attacked['allowed_p99_us_before']} µs."
    )
