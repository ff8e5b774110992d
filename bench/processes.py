"""Child processes of the benchmark: started on one core, watched, stopped by their own id.

Must never signal a process that this run did not start.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS_MAX = 15
STOP_SECONDS_MAX = 10
# The run itself keeps to the load's core; what is not pinned may use all that it was given.
ALL_CORES = os.sched_getaffinity(0)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """What stops a benchmark; the text says what to do about it."""


class Process:
    """One server: `command` runs pinned to `cores`, if given, in a process group of its own, its output in a log file."""

    def __init__(self, name, command, log, cores=None, environment=None):
        self.name = name
        self.log = Path(log)
        with self.log.open("wb") as output:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores or ALL_CORES),
            )

    def check_alive(self):
        """Raises, with the end of the log, when the process has ended."""
        if self.child.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self.name} ended with status {self.child.returncode}:\n{tail}")

    def wait_for_port(self, port):
        """Returns when something listens on the port of the loopback."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            self.check_alive()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.005)
        raise BenchError(f"{self.name} does not listen on port {port} after {START_SECONDS_MAX} s")

    def cpu_seconds(self):
        """User and system time so far, in seconds, of all threads of the process and of its children."""
        user = system = 0
        for pid in process_tree(self.child.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            user += int(fields[11])
            system += int(fields[12])
        return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND

    def cpu_us(self):
        """User and system time so far, in microseconds, exact where cpu_seconds counts in ticks of 10 ms."""
        return sum(time.clock_gettime_ns(process_clock(pid)) for pid in process_tree(self.child.pid)) / 1000

    def resident_kib(self):
        """Resident memory of the process and its children, in KiB."""
        return self._memory_kib("VmRSS:")

    def peak_resident_kib(self):
        """The most resident memory since forget_peak, in KiB."""
        return self._memory_kib("VmHWM:")

    def forget_peak(self):
        """Lets the peak of resident memory begin anew: proc(5), clear_refs."""
        for pid in process_tree(self.child.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _memory_kib(self, name):
        total = 0
        for pid in process_tree(self.child.pid):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(name):
                    total += int(line.split()[1])
        return total

    def pids(self):
        """The process and all its descendants."""
        return process_tree(self.child.pid)

    def stop(self):
        """Asks the process to end, then makes it; returns its exit status."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        return self.child.returncode


def process_tree(pid):
    """The process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found.extend(process_tree(int(child)))
    return found


def process_clock(pid):
    """The clock of a process's user and system time, as clock_getcpuclockid(3) names it."""
    return (~pid << 3) | 2


def free_port():
    """A port of the loopback that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def core_idle_seconds(core):
    """How long a core has been idle since the machine started, in seconds. Its busy times are counted at timer ticks and miss
    what works in short bursts; the idle time is exact."""
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == f"cpu{core}":
            return (int(fields[4]) + int(fields[5])) / TICKS_PER_SECOND
    raise BenchError(f"/proc/stat has no core {core}")
