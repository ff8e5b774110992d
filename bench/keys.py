"""The keys of the load: their first use, and the proof that Sentinel decides on every one of them.

Must never report success when a request was answered by anything but the upstream.
"""

import http.client
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from processes import BenchError
from servers import reply

KEYS = 10_000
CONNECTIONS = 16
REQUEST_SECONDS_MAX = 10
BODY = b'{"model":"gpt-4o-mini","messages":[]}'


def key(number):
    """The key with that number, from 1, as load.lua and the load tools make it."""
    return f"sk-bench{number:043d}"


def send(connection, number):
    """Sends one request with a key and returns the status and the body.

    Head and body go out together: the upstream answers at the head, and a proxy may close after an answer that came
    before the whole request did.
    """
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench.test\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key(number)}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY)
    response = http.client.HTTPResponse(connection, method="POST")
    try:
        response.begin()
        return response.status, response.read()
    finally:
        response.close()


def connect(proxy, source=None):
    """A connection to the proxy, from another address of the loopback if one is given."""
    address = (source, 0) if source else None
    return socket.create_connection(("127.0.0.1", proxy.port), REQUEST_SECONDS_MAX, source_address=address)


def use_some_keys(proxy, numbers):
    """Uses the keys with these numbers over one connection: each must be answered by the upstream."""
    expected = reply().encode()
    connection = connect(proxy)
    try:
        for number in numbers:
            try:
                status, body = send(connection, number)
            except (OSError, http.client.HTTPException) as error:
                proxy.process.check_alive()
                raise BenchError(f"{proxy.name} did not answer key {number}: {error!r}") from error
            if status != 200 or body != expected:
                raise BenchError(f"{proxy.name} answered {status} to key {number}: {body[:300]!r}")
    finally:
        connection.close()


def use_every_key_once(proxy):
    """One request with each key over a few connections: binds the keys that are new."""
    parts = [range(first, KEYS + 1, CONNECTIONS) for first in range(1, CONNECTIONS + 1)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for outcome in [pool.submit(use_some_keys, proxy, numbers) for numbers in parts]:
            outcome.result()


def verify_decisions(proxy):
    """Raises unless Sentinel holds a binding for each key and refuses one from another address."""
    connection = connect(proxy, source="127.0.0.2")
    try:
        status, body = send(connection, 1)
    finally:
        connection.close()
    if status != 403 or b"key_ip_mismatch" not in body:
        raise BenchError(f"{proxy.name} answered {status} to a bound key from elsewhere: {body[:300]!r}")
    bound = count_bindings(proxy.data)
    if bound != KEYS:
        raise BenchError(f"{proxy.name} holds {bound} bindings, not {KEYS}")


def count_bindings(data):
    """The active bindings in the embedded database of a data folder."""
    for path in sorted(data.iterdir()):
        if path.is_file() and path.open("rb").read(15) == b"SQLite format 3":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                return database.execute("SELECT count(*) FROM bindings WHERE status = 'active'").fetchone()[0]
    raise BenchError("the data folder has no SQLite database")
