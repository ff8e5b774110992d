"""Medians, ratios and the two forms they are told in: a table and JSON.

Must never hold a path or a name of the machine: results are committed.
"""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

from servers import BINARY

RESULTS = Path(__file__).resolve().parent / "results"
REFERENCE = "nginx"
MEDIANS = ("requests_per_second", "user_us", "system_us", "cpu_us", "p50_us", "p99_us", "proxy_busy", "load_core_busy")
OTHERS_SHARE_MAX = 0.10


def first_line(command):
    """The first line that a command prints, or None when it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return ((done.stdout + done.stderr).strip().splitlines() or [None])[0]


def describe_machine():
    """What the figures depend on: processor, cores, memory, kernel."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": processor.group(1) if processor else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "kernel": platform.release(),
    }


def describe_versions(proxies):
    """The versions of all that took part."""
    commands = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "sentinel": [str(BINARY), "--version"]}
    versions = {name: first_line(command) for name, command in commands.items() if name in proxies}
    versions["wrk"] = first_line(["wrk", "-v"])
    commit = first_line(["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"])
    versions["commit"] = None if commit and commit.startswith("fatal:") else commit
    return versions


def summarise(rounds):
    """Per connection count and proxy: medians over the rounds, and the medians of the ratios within each round."""
    summary = []
    for connections in sorted({row["connections"] for row in rounds}):
        rows = [row for row in rounds if row["connections"] == connections]
        reference = {row["round"]: row for row in rows if row["proxy"] == REFERENCE}
        for proxy in dict.fromkeys(row["proxy"] for row in rows):
            own = [row for row in rows if row["proxy"] == proxy]
            entry = {"connections": connections, "proxy": proxy}
            entry |= {name: statistics.median(row[name] for row in own) for name in MEDIANS}
            if reference:
                for name in ("requests_per_second", "cpu_us"):
                    ratios = [row[name] / reference[row["round"]][name] for row in own]
                    entry[f"{name}_ratio"] = statistics.median(ratios)
                    entry[f"{name}_ratio_range"] = [min(ratios), max(ratios)]
            summary.append(entry)
    return summary


def table(summary):
    """The summary as lines of text."""
    lines = [
        f"{'conns':>5}  {'proxy':<9} {'req/s':>8} {'÷ nginx':>8} {'CPU µs':>7} {'÷ nginx':>8} {'user':>6} {'sys':>6}"
        f" {'p50 µs':>7} {'p99 µs':>7} {'proxy':>6} {'load':>5}"
    ]
    for row in summary:
        lines.append(
            f"{row['connections']:>5}  {row['proxy']:<9} {row['requests_per_second']:>8.0f}"
            f" {row.get('requests_per_second_ratio', float('nan')):>8.2f} {row['cpu_us']:>7.1f}"
            f" {row.get('cpu_us_ratio', float('nan')):>8.2f} {row['user_us']:>6.1f} {row['system_us']:>6.1f}"
            f" {row['p50_us']:>7.0f} {row['p99_us']:>7.0f} {row['proxy_busy']:>6.0%} {row['load_core_busy']:>5.0%}"
        )
    return "\n".join(lines)


def warnings(rounds):
    """What makes the figures worth less than they look."""
    noisy = [row for row in rounds if row["others_on_proxy_core"] > OTHERS_SHARE_MAX]
    if noisy:
        worst = max(row["others_on_proxy_core"] for row in noisy)
        yield (
            f"{len(noisy)} of {len(rounds)} measurements had others on the proxy's core (up to {worst:.0%} of it): "
            "run again on a quiet machine"
        )
    idle = sorted({row["proxy"] for row in rounds if row["proxy_busy"] < 0.9 and row["load_core_busy"] > 0.97})
    if idle:
        yield f"the load's core was the limit for {', '.join(idle)}: compare CPU per request, not requests/s"


def save(results, name):
    """Writes the results as JSON and returns the file's path."""
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc)
    path = RESULTS / f"{name or stamp.strftime('%Y-%m-%dT%H%M%SZ')}.json"
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"date": stamp.isoformat(timespec="seconds")} | rounded(results), indent=2) + "\n")
    unfinished.replace(path)
    return path


def rounded(value):
    """The same with floating-point numbers at a length that means something."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
