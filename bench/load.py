"""One measurement: warm up, run wrk against one proxy, and tell throughput, CPU time and errors.

Must never report a figure of a run in which a request failed.
"""

import http.client
import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path

from processes import BenchError, core_busy_seconds
from servers import reply

SCRIPT = Path(__file__).resolve().parent / "load.lua"
KEYS = 1000
WRK_GRACE_SECONDS_MAX = 20
REQUEST_SECONDS_MAX = 10
# An upstream that spends less than this on a request did not see it: a read and a write alone take longer.
UPSTREAM_US_MIN = 0.5


def key(number):
    """The key with that number, from 1, as load.lua makes it."""
    return f"sk-bench{number:043d}"


def send(proxy, number, source=None):
    """Sends one request with a key and returns the status and the body."""
    address = (source, 0) if source else None
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, REQUEST_SECONDS_MAX, source_address=address)
    try:
        headers = {"Authorization": f"Bearer {key(number)}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", b'{"model":"gpt-4o-mini","messages":[]}', headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def use_every_key_once(proxy):
    """The first use of each key, one after the other: each must be answered by the upstream."""
    expected = reply().encode()
    for number in range(1, KEYS + 1):
        status, body = send(proxy, number)
        if status != 200 or body != expected:
            raise BenchError(f"{proxy.name} answered {status} to key {number}: {body[:300]!r}")


def verify_decisions(proxy):
    """Raises unless Sentinel holds a binding for each key and refuses one from another address."""
    status, body = send(proxy, 1, source="127.0.0.2")
    if status != 403 or b"key_ip_mismatch" not in body:
        raise BenchError(f"{proxy.name} answered {status} to a bound key from elsewhere: {body[:300]!r}")
    bound = count_bindings(proxy.data)
    if bound != KEYS:
        raise BenchError(f"{proxy.name} holds {bound} bindings, not {KEYS}")


def count_bindings(data):
    """The active bindings in the embedded database of a data folder."""
    for path in sorted(data.iterdir()):
        if path.is_file() and path.open("rb").read(15) == b"SQLite format 3":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                return database.execute("SELECT count(*) FROM bindings WHERE status = 'active'").fetchone()[0]
    raise BenchError("the data folder has no SQLite database")


def run_wrk(port, connections, seconds, core):
    """Runs wrk on one core and returns what load.lua prints at the end; raises when any request failed."""
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
    failed = {name: result[name] for name in ("connect", "read", "write", "status", "timeout") if result[name]}
    if failed:
        raise BenchError(f"wrk saw failed requests on port {port}: {failed}")
    return result


def measure(proxy, upstream, connections, options):
    """One measurement of one proxy; times in microseconds, shares of a core from 0 to 1."""
    proxy.process.check_alive()
    run_wrk(proxy.port, connections, options.warm_seconds, options.load_core)
    begun = time.monotonic()
    user_before, system_before = proxy.process.cpu_seconds()
    upstream_before = sum(upstream.cpu_seconds())
    busy_before = [core_busy_seconds(core) for core in (options.proxy_core, options.load_core)]
    result = run_wrk(proxy.port, connections, options.seconds, options.load_core)
    user, system = proxy.process.cpu_seconds()
    busy = [core_busy_seconds(core) for core in (options.proxy_core, options.load_core)]
    upstream_us = (sum(upstream.cpu_seconds()) - upstream_before) * 1e6 / result["requests"]
    elapsed = time.monotonic() - begun
    if upstream_us < UPSTREAM_US_MIN:
        raise BenchError(f"{proxy.name} did not forward: the upstream worked {upstream_us:.2f} µs per request")

    requests = result["requests"]
    user, system = user - user_before, system - system_before
    proxy_share = (user + system) / elapsed
    proxy_core_share = (busy[0] - busy_before[0]) / elapsed
    return {
        "proxy": proxy.name,
        "connections": connections,
        "requests": requests,
        "requests_per_second": requests / (result["duration_us"] / 1e6),
        "user_us": user * 1e6 / requests,
        "system_us": system * 1e6 / requests,
        "cpu_us": (user + system) * 1e6 / requests,
        "upstream_us": upstream_us,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
        "proxy_busy": proxy_share,
        "load_core_busy": (busy[1] - busy_before[1]) / elapsed,
        # What else ran on the proxy's core: a noisy neighbour makes the round worth less.
        "others_on_proxy_core": max(0.0, proxy_core_share - proxy_share),
    }
