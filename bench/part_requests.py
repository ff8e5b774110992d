"""Requests: throughput and CPU time of short requests under wrk, with every key known.

Must never report a figure of a run in which a request failed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from busy import Busy
from processes import BenchError
from ratios import against, in_turn, select, shown, summarise
from startup import measure_startup
from targets import AT_LEAST, Target

SCRIPT = Path(__file__).resolve().parent / "load.lua"
WRK_GRACE_SECONDS_MAX = 20
# An upstream that spends less than this on a request did not see it: a read and a write alone take longer.
UPSTREAM_US_MIN = 0.5
FIELDS = ("requests_per_second", "user_us", "system_us", "cpu_us", "p50_us", "p99_us", "proxy_busy", "load_core_busy")
TARGETS = [(32, "nginx", 0.95), (256, "nginx", 1.1), (32, "haproxy", 0.9), (256, "haproxy", 1.0)]


def run_wrk(port, connections, seconds, core, refused=False):
    """Runs wrk on one core and returns what load.lua prints at the end; raises when any request failed, or when any was not
    refused that had to be."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}/v1/chat/completions"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + WRK_GRACE_SECONDS_MAX,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise BenchError(f"wrk failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    result = json.loads(lines[-1])
    if refused:
        result["status"] -= result["requests"]
    failed = {name: result[name] for name in ("connect", "read", "write", "status", "timeout") if result[name]}
    if failed:
        raise BenchError(f"wrk saw failed requests on port {port}: {failed}")
    return result


def measure_once(proxy, upstream, connections, options):
    """One measurement of one proxy; times in microseconds, shares of a core from 0 to 1."""
    proxy.process.check_alive()
    run_wrk(proxy.port, connections, options.warm_seconds, options.load_core)
    user_before, system_before = proxy.process.cpu_seconds()
    upstream_before, cpu_before = upstream.cpu_us(), proxy.process.cpu_us()
    busy = Busy(proxy.process, options)
    result = run_wrk(proxy.port, connections, options.seconds, options.load_core)
    cpu_us = proxy.process.cpu_us() - cpu_before
    user, system = proxy.process.cpu_seconds()
    shares = busy.shares()
    requests = result["requests"]
    upstream_us = (upstream.cpu_us() - upstream_before) / requests
    if upstream_us < UPSTREAM_US_MIN:
        raise BenchError(f"{proxy.name} did not forward: the upstream worked {upstream_us:.2f} µs per request")
    return {
        "proxy": proxy.name,
        "connections": connections,
        "requests": requests,
        "requests_per_second": requests / (result["duration_us"] / 1e6),
        "user_us": (user - user_before) * 1e6 / requests,
        "system_us": (system - system_before) * 1e6 / requests,
        "cpu_us": cpu_us / requests,
        "upstream_us": upstream_us,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
    } | shares


def measure(session):
    """All rounds; another proxy begins each round."""
    options = session.options
    upstream, upstream_port = session.start_fixed_upstream()
    # Before the proxies are there, so that nothing else runs beside it.
    startup = measure_startup(upstream_port) if "sentinel" in options.proxies else None
    proxies = session.start_proxies(upstream_port)
    rounds = []
    for number in range(options.rounds):
        for connections in options.connections:
            for proxy in in_turn(proxies, number):
                row = {"round": number + 1} | measure_once(proxy, upstream, connections, options)
                rounds.append(row)
                print(
                    f"requests, round {row['round']}: {connections:>4} connections, {proxy.name:<9}"
                    f" {row['requests_per_second']:>8.0f} requests/s, {row['cpu_us']:>6.1f} µs CPU per request",
                    file=sys.stderr,
                    flush=True,
                )
    for proxy in proxies:
        session.verify(proxy)
    return {
        "startup": startup,
        "resident_kib_after_load": {proxy.name: proxy.process.resident_kib() for proxy in proxies},
        "summary": summarise(rounds, ("connections",), FIELDS, ("requests_per_second", "cpu_us")),
        "rounds": rounds,
    }


def targets(result):
    """Requests per CPU-second of Sentinel divided by those of each peer: the peer's CPU time divided by Sentinel's."""
    for connections, peer, limit in TARGETS:
        for entry in select(result["summary"], connections=connections, proxy="sentinel"):
            ratio = against(entry, peer, "cpu_us")
            name = f"requests per CPU-second ÷ {peer}, {connections} connections"
            yield Target(name, ratio and 1 / ratio, AT_LEAST, limit)


def table(result):
    """The head and the rows of the table."""
    head = ["connections", "proxy", "requests/s", "÷ nginx", "CPU µs", "÷ nginx", "÷ haproxy", "user µs", "system µs"]
    head += ["p50 µs", "p99 µs", "proxy busy", "load busy"]
    rows = [
        [
            str(row["connections"]),
            row["proxy"],
            f"{row['requests_per_second']:.0f}",
            shown(row, "requests_per_second"),
            f"{row['cpu_us']:.1f}",
            shown(row, "cpu_us"),
            shown(row, "cpu_us", "haproxy"),
            *(f"{row[name]:.1f}" for name in ("user_us", "system_us")),
            *(f"{row[name]:.0f}" for name in ("p50_us", "p99_us")),
            *(f"{row[name]:.0%}" for name in ("proxy_busy", "load_core_busy")),
        ]
        for row in result["summary"]
    ]
    return head, rows


def remarks(result):
    """What else was measured, as sentences."""
    startup = result["startup"]
    if startup:
        yield (
            f"Sentinel: cold start {startup['cold_start_ms']:.0f} ms (first start, with an empty data folder,"
            f" {startup['first_start_ms']:.0f} ms), idle memory {startup['idle_resident_kib'] / 1024:.1f} MiB,"
            f" binary {startup['binary_bytes'] / 2**20:.1f} MiB."
        )
    after = ", ".join(f"{name} {kib / 1024:.1f} MiB" for name, kib in result["resident_kib_after_load"].items())
    yield f"Memory after the load: {after}."
