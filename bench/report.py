"""The two forms in which results are told: tables of text and JSON files.

Must never hold a path or a name of the machine: results are committed.
"""

import datetime
import json
import os
import platform
import re
import subprocess
from pathlib import Path

import targets
from busy import warnings
from parts import PARTS
from servers import BINARY

RESULTS = Path(__file__).resolve().parent / "results"
TITLES = {
    "requests": "Requests",
    "streams": "Streams",
    "memory": "Memory per connection",
    "bodies": "Large bodies",
    "stores": "PostgreSQL and Redis",
    "refusals": "Refusals",
}


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
    versions["compiler"] = first_line(["cc", "--version"])
    commit = first_line(["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"])
    versions["commit"] = None if commit and commit.startswith("fatal:") else commit
    return versions


def is_numeric(rows, column):
    """Whether the cells of a column are all numbers (limits and shares too) or left out."""
    return all(re.fullmatch(r"-|[≤≥]? ?[\d.,]+%?", row[column]) for row in rows)


def aligned(head, rows):
    """A table as lines of text; columns of numbers stand to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    left = [not is_numeric(rows, column) for column in range(len(head))]

    def line(row):
        cells = [cell.ljust(width) if is_left else cell.rjust(width) for cell, width, is_left in zip(row, widths, left)]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def tell(results):
    """Prints the tables of all parts, and the targets last."""
    for name, part in results["parts"].items():
        print(f"\n{TITLES[name]}\n{aligned(*PARTS[name].table(part))}")
        for text in PARTS[name].remarks(part):
            print(text)
        for text in warnings(name, part.get("rounds", [])):
            print(f"Note: {text}")
    print(f"\nTargets\n{aligned(*targets.table(results['targets']))}")
    print("\nMedians over the rounds; ratios are medians of the ratios within each round; busy: shares of the core.")


def save(results, name):
    """Writes the results as JSON and returns the file's path."""
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc)
    path = RESULTS / f"{name or stamp.strftime('%Y-%m-%dT%H%M%SZ')}.json"
    unfinished = path.with_suffix(".tmp")
    text = json.dumps({"date": stamp.isoformat(timespec="seconds")} | rounded(results), indent=2, ensure_ascii=False)
    unfinished.write_text(text + "\n")
    unfinished.replace(path)
    return path


def rounded(value):
    """The same with floating-point numbers at a length that means something."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
