"""The stores that replicas share: first uses, lookups past the process's own cache, lookups among many bindings, and the cost of knowing when a key
was last used. There is no peer to compare with.

Must never report figures of another build than this checkout's, nor of a PostgreSQL that does not wait for its disk.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from processes import ALL_CORES, BenchError
from targets import AT_LEAST, AT_MOST, Target

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "target" / "release" / "examples" / "stores"
BUILD = ["cargo", "build", "--release", "--locked", "-p", "sentinel-store", "--example", "stores"]
MEASURE_SECONDS_MAX = 3_600
# How often uses are written, and less than a request costs the proxy: for the share that knowing the last use takes of a busy core.
FLUSH_SECONDS = 5
REQUEST_US = 10
CLAIMS_PER_SECOND_MIN = 5_000
P99_GROWTH_MAX = 1.5
USES_SHARE_MAX = 0.02


def on_all_cores():
    """What is started here may use the whole machine: server and client share it in earnest, too."""
    os.sched_setaffinity(0, ALL_CORES)


def run_example(*arguments):
    """Runs one measurement and returns its results."""
    command = [str(EXAMPLE), *map(str, arguments)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MEASURE_SECONDS_MAX,
        preexec_fn=on_all_cores,
    )
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
    print(f"stores: {' '.join(map(str, arguments[:1]))} measured", file=sys.stderr, flush=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(session):
    """Builds the measuring program and runs all of its parts."""
    if subprocess.run(BUILD, cwd=ROOT, stdin=subprocess.DEVNULL, preexec_fn=on_all_cores).returncode != 0:
        raise BenchError(f"{' '.join(BUILD)} failed")
    sizes = sorted(session.options.bindings)
    return {
        "claims": run_example("claims"),
        "latency": run_example("latency"),
        "uses": run_example("uses"),
        "sizes": run_example("sizes", *sizes),
    }


def uses_share(result):
    """The share of a busy core that knowing the last use takes: at each request, and for the batches."""
    uses = result["uses"][0]
    return uses["record_use_ns"] / 1e3 / REQUEST_US + uses["flush_cpu_us"] / 1e6 / FLUSH_SECONDS


def targets(result):
    """The limits that the figures have to keep."""
    grouped = [row["per_second"] for row in result["claims"] if row["kind"] == "grouped"]
    yield Target("first uses per second on PostgreSQL, grouped", max(grouped), AT_LEAST, CLAIMS_PER_SECOND_MIN)
    sizes = result["sizes"]
    growth = sizes[-1]["p99_us"] / sizes[0]["p99_us"] if len(sizes) > 1 else None
    yield Target("lookup p99 with the most bindings ÷ with the fewest", growth, AT_MOST, P99_GROWTH_MAX)
    yield Target("share of a busy core for the last use", uses_share(result), AT_MOST, USES_SHARE_MAX)


def table(result):
    """The head and the rows of the table."""
    rows = [
        [f"first uses, {row['kind']}", f"{row['clients']} clients", f"{row['per_second']:.0f}/s", "-", "-", "-"]
        for row in result["claims"]
    ]
    rows += [
        [f"lookup from {row['from']}", f"{row['clients']} clients", "-", str(row["p50_us"]), str(row["p99_us"]), "-"]
        for row in result["latency"]
    ]
    rows += [
        [
            "lookup from postgresql",
            f"{row['bindings']:,} bindings",
            "-",
            str(row["p50_us"]),
            str(row["p99_us"]),
            f"{row['database_bytes'] / 2**20:.0f}",
        ]
        for row in result["sizes"]
    ]
    return ["what", "with", "rate", "p50 µs", "p99 µs", "database MiB"], rows


def remarks(result):
    """What else was measured, as sentences."""
    uses = result["uses"][0]
    yield (
        f"A use is counted in {uses['record_use_ns']} ns; writing the uses of {uses['keys']:,} keys takes {uses['flush_cpu_us'] / 1000:.1f} ms of"
        f" the process's CPU every {FLUSH_SECONDS} s: {uses_share(result):.2%} of a busy core in all."
    )
