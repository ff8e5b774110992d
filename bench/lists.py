#!/usr/bin/env python3
"""How long each list of the admin API takes, and the dashboard, on a PostgreSQL with many bindings and refusals.

    createdb sentinel_lists
    python3 bench/lists.py --dsn postgres://localhost/sentinel_lists --fill

Must never be pointed at a database that anybody needs: `--fill` adds to what is there. Prints one line per list, and fails when one is slower
than it may be.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

from processes import Process, free_port

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "not a secret, for one run"
SECRET = "0123456789abcdef" * 4
LIST_MS_MAX = 100
DASHBOARD_MS_MAX = 50
ASKED_AT_MOST_SECONDS = 60


def moment(**ago):
    """A moment so long ago, as the API takes it."""
    return (datetime.now(timezone.utc) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def lists():
    """Each list under its common and its rarest filters, one path each."""
    for query in [
        *("", "?sort=oldest", "?sort=last_used", "?sort=most_used", "?status=banned", "?status=banned&sort=most_used"),
        *("?profile=gemini", "?profile=litellm", "?label=team-7", "?address=10.1.2.3", "?within=10.1.0.0/16", "?network=10.1.2.0/23"),
        *(f"?used_after={moment(minutes=2)}", f"?used_before={moment(days=29, hours=23)}", f"?used_before={moment(days=7)}"),
        f"?profile=new-api&used_after={moment(days=1)}&sort=last_used",
    ]:
        yield f"/admin/api/bindings{query}"
    for query in [
        *("", "?reason=key_ip_mismatch", "?reason=client_ip_unresolvable", "?reason=upstream_timeout", "?outcome=refused", "?outcome=observed"),
        *("?reason=key_banned&outcome=observed", "?binding=4711", "?client_ip=10.3.2.1", "?network=10.3.2.0/24"),
        *(f"?since={moment(hours=1)}", f"?since={moment(days=8)}&until={moment(days=7)}", "?reference=sr_0123456789abcdef0123"),
    ]:
        yield f"/admin/api/logs{query}"
    for query in ["", "?actor=seldom", "?actor=admin%201", "?action=settings.update", f"?since={moment(hours=1)}"]:
        yield f"/admin/api/audit{query}"
    for path in ["bindings/4711/history", "alerts", "administrators", "sessions", "tokens", "dashboard"]:
        yield f"/admin/api/{path}"


class Server:
    """A running Sentinel on the database, and a session of its administrator."""

    def __init__(self, binary, dsn, folder):
        port, self.admin = free_port(), free_port()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PG_DSN": dsn,
            "UPSTREAM_URL": "http://127.0.0.1:9",
            "SENTINEL_LISTEN": f"127.0.0.1:{port}",
            "SENTINEL_ADMIN_LISTEN": f"127.0.0.1:{self.admin}",
            "SENTINEL_DATA_DIR": f"{folder}/data",
            # The same for every run: the database remembers whose keys it holds.
            "SENTINEL_HMAC_SECRET": SECRET,
            "ADMIN_USERNAME": "bench",
            "ADMIN_PASSWORD": PASSWORD,
        }
        self.process = Process("sentinel", [str(binary), "serve"], Path(folder) / "sentinel.out", None, environment)
        self.process.wait_for_port(self.admin)
        credentials = json.dumps({"username": "bench", "password": PASSWORD}).encode()
        self.token = None
        self.token = json.loads(self.ask("/admin/api/login", credentials))["token"]

    def ask(self, path, body=None):
        """The body of the answer; raises unless it is a 200."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=ASKED_AT_MOST_SECONDS) as answer:
            return answer.read()

    def times_ms(self, path, times):
        """How long the answers took, the shortest first."""
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            self.ask(path)
            took.append((time.perf_counter() - begun) * 1e3)
        return sorted(took)


def fill(options):
    """Makes the schema and the rows."""
    environment = os.environ | {"PG_DSN": options.dsn, "UPSTREAM_URL": "http://127.0.0.1:9"}
    subprocess.run([options.binary, "migrate"], env=environment, check=True)
    sizes = [f"--set={name}={getattr(options, name)}" for name in ("bindings", "intercepts", "events")]
    subprocess.run(["psql", "-q", "-d", options.dsn, *sizes, "-f", str(ROOT / "bench" / "lists.sql")], check=True)


def measure(server, times):
    """Prints each list's times; gives the paths that are too slow."""
    slow = []
    print(f"{'p50 ms':>8} {'p95 ms':>8}  list")
    for path in lists():
        server.ask(path)
        took = server.times_ms(path, times)
        p50, p95 = (took[min(len(took) - 1, len(took) * percent // 100)] for percent in (50, 95))
        print(f"{p50:8.1f} {p95:8.1f}  {path}", flush=True)
        if p95 > (DASHBOARD_MS_MAX if path.endswith("dashboard") else LIST_MS_MAX):
            slow.append(path)
    return slow


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn", required=True, help="the database, of nobody else")
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "sentinel"))
    parser.add_argument("--fill", action="store_true", help="make schema and rows first")
    parser.add_argument("--bindings", type=int, default=1_000_000)
    parser.add_argument("--intercepts", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--times", type=int, default=40, help="how often each list is asked for")
    options = parser.parse_args()
    if options.fill:
        fill(options)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.binary, options.dsn, folder)
        try:
            slow = measure(server, options.times)
        finally:
            server.process.stop()
    if slow:
        sys.exit(f"too slow: {', '.join(slow)}")


if __name__ == "__main__":
    main()
