"""Child processes: each started with an environment of its own, its output kept in a file, stopped by its own id."""

import os
import random
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS_MAX = 30.0
# Below the ports that the kernel gives to outgoing connections, so that none of those can take one in between.
PORTS = range(20000, 32000)
PORT_TRIES_MAX = 100


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    for port in random.sample(PORTS, PORT_TRIES_MAX):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {PORT_TRIES_MAX} tries")


class Process:
    """One running child. What it prints, to either stream, is in `output_file`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], output_file: Path) -> None:
        self.name = output_file.stem
        self.output_file = output_file
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        with output_file.open("ab") as output:
            self._child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, "HOME": str(output_file.parent), **environment},
                cwd=output_file.parent,
            )

    def output(self) -> str:
        """What it has printed so far."""
        return self.output_file.read_text(errors="replace")

    def require_running(self) -> None:
        """Fails when it has ended, with what it printed."""
        code = self._child.poll()
        assert code is None, f"{self.name} ended with {code}:\n{self.output()[-4000:]}"

    def stop(self) -> int:
        """Asks it to end and waits; gives its exit code. It is killed, and the test fails, when it does not listen."""
        self._child.terminate()
        try:
            return self._child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise AssertionError(f"{self.name} did not end within {STOP_SECONDS_MAX} s of being asked") from None
