"""A real WebSocket client and a real WebSocket server, with Sentinel between them."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from gateways import Gateway
from installation import Installation
from sdks import ELSEWHERE

Install = Callable[[Gateway], Installation]
WAIT_SECONDS_MAX = 10.0


def echo(connection: ServerConnection) -> None:
    """Sends back whatever comes."""
    for message in connection:
        connection.send(message)


@pytest.fixture
def realtime(demo: Gateway) -> Iterator[Gateway]:
    """A gateway that speaks WebSocket and nothing else."""
    with serve(echo, "127.0.0.1", 0, subprotocols=["realtime"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        yield Gateway("realtime", f"http://127.0.0.1:{port}", "new-api", demo.process, {}, {})
        server.shutdown()
        thread.join()


def open_connection(installation: Installation, local_address: str = "127.0.0.1", **options: Any) -> Any:
    url = installation.url.replace("http://", "ws://") + "/v1/realtime?model=x"
    return connect(url, source_address=(local_address, 0), open_timeout=WAIT_SECONDS_MAX, proxy=None, **options)


def test_a_connection_is_bound_carried_refused_elsewhere_and_ended_by_a_ban(
    install: Install, realtime: Gateway
) -> None:
    installation = install(realtime)
    key = f"sk-{secrets.token_hex(24)}"
    header = {"Authorization": f"Bearer {key}"}
    with open_connection(installation, additional_headers=header, subprotocols=["realtime"]) as home:
        assert home.subprotocol == "realtime"
        for message in ("hello", "x" * 100_000, b"\x00\xff"):
            home.send(message)
            assert home.recv(WAIT_SECONDS_MAX) == message
        binding = installation.binding()

        # Elsewhere the handshake gets an ordinary 403, and nothing is upgraded.
        with pytest.raises(InvalidStatus) as refused:
            open_connection(installation, ELSEWHERE, additional_headers=header)
        assert refused.value.response.status_code == 403
        reference = refused.value.response.headers["X-Sentinel-Reference"]
        assert installation.intercept(reference)["reason"] == "key_ip_mismatch"

        # A ban ends what is under way.
        banned = time.monotonic()
        installation.ban(binding["id"])
        with pytest.raises(ConnectionClosed):
            home.recv(WAIT_SECONDS_MAX)
        print(f"ban answered and connection ended after {(time.monotonic() - banned) * 1000:.1f} ms")


def test_a_browsers_key_stands_among_the_subprotocols(install: Install, realtime: Gateway) -> None:
    installation = install(realtime)
    key = f"sk-{secrets.token_hex(24)}"
    subprotocols = ["realtime", f"openai-insecure-api-key.{key}"]
    with open_connection(installation, subprotocols=subprotocols) as browser:
        browser.send("hello")
        assert browser.recv(WAIT_SECONDS_MAX) == "hello"
    assert installation.binding()["hint"].startswith(key[:5])
    with pytest.raises(InvalidStatus):
        open_connection(installation, ELSEWHERE, subprotocols=subprotocols)
