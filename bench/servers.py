"""The servers of the benchmark: the two upstreams and each proxy in front of them.

Must never read or change the configuration of a service that the system runs: every file lies in the run's own
temporary folder.
"""

import os
import resource
import string
from functools import partial
from pathlib import Path

from processes import BenchError, Process, free_port

CONFIG = Path(__file__).resolve().parent / "config"
BINARY = Path(__file__).resolve().parent.parent / "target" / "release" / "sentinel"
REPLY_BYTES = 400
# What the proxies accept at once; all of it comes from one address.
CONNECTIONS_MAX = 30_000
HAPROXY_DESCRIPTORS = 100


def reply():
    """The JSON that the upstream answers with, in the shape of a chat completion."""
    head = '{"id":"chatcmpl-bench","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"'
    tail = '"},"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":60,"total_tokens":120}}'
    return head + "x" * (REPLY_BYTES - len(head) - len(tail)) + tail


def write_config(folder, template, **values):
    """Fills in a file of bench/config and returns the path of the result."""
    # As root, nginx would change to a user that cannot enter the temporary folder.
    user = "user root;" if os.geteuid() == 0 else ""
    text = string.Template((CONFIG / template).read_text()).substitute(folder=folder, user=user, **values)
    path = Path(folder) / template
    path.write_text(text)
    return path


class Proxy:
    """A running proxy: its process, the port that it listens on, and how many connections it takes."""

    def __init__(self, name, process, port, admin_port=None, data=None, connections_max=CONNECTIONS_MAX):
        self.name = name
        self.process = process
        self.port = port
        self.admin_port = admin_port
        self.data = data
        self.connections_max = connections_max


def start_fixed_upstream(folder, cores):
    """Starts the upstream with the fixed reply and returns its process and port."""
    port = free_port()
    config = write_config(folder, "upstream.conf", upstream_port=port, reply=reply())
    command = ["nginx", "-c", str(config), "-p", str(folder)]
    process = Process("upstream", command, Path(folder) / "upstream.out", cores)
    process.wait_for_port(port)
    return process, port


def start_scripted_upstream(folder, binary, cores):
    """Starts tools/upstream.c and returns its process and port."""
    port = free_port()
    process = Process("upstream", [str(binary), str(port), reply()], Path(folder) / "scripted.out", cores)
    process.wait_for_port(port)
    return process, port


def start_nginx(folder, upstream_port, cores):
    """Starts nginx as a reverse proxy."""
    port = free_port()
    config = write_config(folder, "nginx.conf", upstream_port=upstream_port, port=port)
    command = ["nginx", "-c", str(config), "-p", str(folder)]
    return Proxy("nginx", Process("nginx", command, Path(folder) / "nginx.out", cores), port)


def start_haproxy(folder, upstream_port, cores, option=""):
    """Starts HAProxy as a reverse proxy, with one more option if given."""
    port = free_port()
    # HAProxy does not start when it may not open two descriptors for each connection, and some more.
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - HAPROXY_DESCRIPTORS) // 2
    connections_max = min(CONNECTIONS_MAX, room)
    values = {"upstream_port": upstream_port, "port": port, "connections_max": connections_max, "option": option}
    config = write_config(folder, "haproxy.cfg", **values)
    command = ["haproxy", "-db", "-f", str(config)]
    process = Process("haproxy", command, Path(folder) / "haproxy.out", cores)
    return Proxy("haproxy", process, port, connections_max=connections_max)


def start_sentinel(folder, upstream_port, cores=None, data=None, binary=BINARY):
    """Starts Sentinel on one core with its decisions on, and without the limits on first uses and connections per
    address: all of the load comes from one address."""
    if not binary.is_file():
        raise BenchError(f"{binary.name} is not built: run `make build` first")
    port, admin_port = free_port(), free_port()
    data = Path(data or Path(folder) / "data")
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "UPSTREAM_URL": f"http://127.0.0.1:{upstream_port}",
        "SENTINEL_LISTEN": f"127.0.0.1:{port}",
        "SENTINEL_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "SENTINEL_DATA_DIR": str(data),
        "SENTINEL_MODE": "enforce",
        "SENTINEL_POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS": "0",
        "SENTINEL_PROXY_CONNECTIONS_MAX": str(CONNECTIONS_MAX),
        "SENTINEL_PROXY_CONNECTIONS_PER_ADDRESS_MAX": "0",
    }
    if cores:
        environment["SENTINEL_PROXY_CORES"] = str(len(cores))
    process = Process("sentinel", [str(binary), "serve"], Path(folder) / "sentinel.out", cores, environment)
    return Proxy("sentinel", process, port, admin_port, data)


STARTERS = {"nginx": start_nginx, "haproxy": start_haproxy, "sentinel": start_sentinel}
# By itself HAProxy holds back what looks unfinished, for up to 200 ms.
STREAM_STARTERS = STARTERS | {"haproxy": partial(start_haproxy, option="option http-no-delay")}
