"""What the parts of a run share: the options, the temporary folder, the built load tools and everything that was started.

Must never leave a process behind: whoever opens a session closes it.
"""

import os
import resource
import subprocess
from pathlib import Path

from keys import use_every_key_once, verify_decisions
from processes import BenchError
from servers import STARTERS, Proxy, start_fixed_upstream, start_scripted_upstream

SOURCES = Path(__file__).resolve().parent / "tools"
TOOLS = ("upstream", "streams", "body")
COMPILE_SECONDS_MAX = 60
# What a proxy needs beside one descriptor for each client and one for each connection to the upstream.
OTHER_DESCRIPTORS = 256


class Session:
    """One run of the benchmark."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = Path(folder)
        self.started = []

    def start_fixed_upstream(self):
        """The upstream with one fixed reply, for requests; returns its process and port."""
        process, port = start_fixed_upstream(self.folder, {self.options.load_core})
        self.started.append(process)
        return process, port

    def start_scripted_upstream(self):
        """The upstream that sends streams and takes large bodies; returns itself as a "proxy" named direct."""
        process, port = start_scripted_upstream(self.folder, self.tool("upstream"), {self.options.load_core})
        self.started.append(process)
        return Proxy("direct", process, port)

    def start_proxy(self, name, upstream_port, starters=STARTERS):
        """Starts a proxy that has seen every key; Sentinel then holds all of them and refuses what it must."""
        proxy = starters[name](self.folder, upstream_port, {self.options.proxy_core})
        self.started.append(proxy.process)
        proxy.process.wait_for_port(proxy.port)
        use_every_key_once(proxy)
        self.verify(proxy)
        return proxy

    def start_proxies(self, upstream_port, starters=STARTERS):
        """All the proxies that were asked for, beside each other."""
        return [self.start_proxy(name, upstream_port, starters) for name in self.options.proxies]

    def verify(self, proxy):
        """Raises when the proxy is Sentinel and does not decide."""
        if proxy.name == "sentinel":
            verify_decisions(proxy)

    def stop(self, process):
        """Stops one process before the others."""
        process.stop()
        self.started.remove(process)

    def stop_all(self):
        """Stops everything that is still running, the last one first."""
        while self.started:
            self.started.pop().stop()

    def tool(self, name):
        """The path of a load tool; all are compiled at first use."""
        path = self.folder / name
        if not path.exists():
            for tool in TOOLS:
                compile_tool(SOURCES / f"{tool}.c", self.folder / tool)
        return path

    def on_load_core(self):
        """For `preexec_fn`: puts a load tool on its core."""
        os.sched_setaffinity(0, {self.options.load_core})

    def run_tool(self, name, *arguments, seconds_max):
        """Runs a load tool to its end on the load's core and returns what it printed; raises when it failed."""
        command = [str(self.tool(name)), *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds_max,
                preexec_fn=self.on_load_core,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{name} {' '.join(command[1:])} takes longer than {seconds_max} s") from error
        if done.returncode != 0:
            raise BenchError(f"{name} {' '.join(command[1:])} failed: {done.stderr[-500:]}")
        return done.stdout


def compile_tool(source, path):
    """Compiles one C file; raises with the compiler's words when it does not compile."""
    command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX)
    if done.returncode != 0:
        raise BenchError(f"{source.name} does not compile:\n{done.stderr[-2000:]}")


def raise_descriptor_limit():
    """Lets this process and all that it starts open as many descriptors as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_possible(asked, streaming, proxy):
    """How many connections a proxy can hold under the limit of descriptors; a streaming one needs two of them."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_DESCRIPTORS
    return min(asked, proxy.connections_max, room // 2 if streaming else room)
