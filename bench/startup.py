"""What Sentinel costs before the first request: cold start, idle memory, size of the binary."""

import socket
import statistics
import tempfile
import time
from pathlib import Path

from processes import START_SECONDS_MAX, BenchError
from servers import BINARY, start_sentinel

STARTS = 5
IDLE_SECONDS = 1.0
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def wait_for_health(proxy):
    """Returns when /health answers 200."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        proxy.process.check_alive()
        try:
            with socket.create_connection(("127.0.0.1", proxy.admin_port), 1) as connection:
                connection.sendall(HEALTH)
                if connection.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.0005)
    raise BenchError(f"/health does not answer 200 after {START_SECONDS_MAX} s")


def start_once(folder, upstream_port, data):
    """Milliseconds from exec to the first 200 on /health, and the resident KiB a second later."""
    begun = time.monotonic()
    proxy = start_sentinel(folder, upstream_port, data=data)
    try:
        wait_for_health(proxy)
        elapsed_ms = (time.monotonic() - begun) * 1000
        time.sleep(IDLE_SECONDS)
        return elapsed_ms, proxy.process.resident_kib()
    finally:
        if proxy.process.stop() != 0:
            raise BenchError(f"sentinel did not stop with status 0:\n{proxy.process.log.read_text()[-2000:]}")


def measure_startup(upstream_port):
    """Medians over some starts, each in a new data folder and then once more in the same."""
    first, again, memory = [], [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory(prefix="sentinel-bench-") as folder:
            data = Path(folder) / "data"
            first.append(start_once(folder, upstream_port, data)[0])
            elapsed_ms, resident_kib = start_once(folder, upstream_port, data)
            again.append(elapsed_ms)
            memory.append(resident_kib)
    return {
        "first_start_ms": statistics.median(first),
        "cold_start_ms": statistics.median(again),
        "idle_resident_kib": statistics.median(memory),
        "binary_bytes": BINARY.stat().st_size,
    }
