"""The admin API against its own description: made-up requests of every operation, valid and not, get no 5xx and nothing that the description
does not have."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from processes import Process, free_port
from stores import Postgres
from waiting import until

# The same requests each time: what fails once fails again.
SEED = "20261125"
EXAMPLES = "15"
RUN_SECONDS_MAX = 240
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,ignored_auth,unsupported_method"
)
# One never ends; the other one may remove the token of these tests, and comes last.
ENDLESS = "/admin/api/logs/tail"
REMOVES_TOKENS = "/admin/api/tokens/{id}"


class Sentinel:
    """One installation, and a token of an owner."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        admin = free_port()
        self.url = f"http://127.0.0.1:{admin}"
        password = secrets.token_hex(16)
        environment = {
            # Nothing is forwarded in these tests.
            "UPSTREAM_URL": "http://127.0.0.1:9",
            "SENTINEL_LISTEN": f"127.0.0.1:{free_port()}",
            "SENTINEL_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "SENTINEL_DATA_DIR": str(folder / "data"),
            "ADMIN_USERNAME": "admin",
            "ADMIN_PASSWORD": password,
            **environment,
        }
        self.process = Process([os.environ["SENTINEL_BIN"], "serve"], environment, folder / "sentinel.log")
        until("Sentinel", self._is_ready)
        signed_in = self._post("/admin/api/login", {"username": "admin", "password": password})
        self.token = signed_in["token"]
        self.token = self._post("/admin/api/tokens", {"name": "tests", "role": "owner"})["token"]

    def is_signed_in(self) -> bool:
        """Whether the token is still good: without it, all answers would be the same refusal."""
        answer = requests.get(f"{self.url}/admin/api/session", headers=self._headers(), timeout=30)
        return answer.status_code == 200

    def stop(self) -> None:
        """Stops it, and insists that it ends well."""
        assert self.process.stop() == 0, self.process.output()[-4000:]

    def compare(self, *which: str) -> None:
        """Sends requests of these operations."""
        schemathesis = Path(sys.executable).with_name("schemathesis")
        command = [str(schemathesis), "run", f"{self.url}/admin/api/openapi.json", "--no-color"]
        command += ["-H", f"Authorization: Bearer {self.token}", "--checks", CHECKS, "--warnings", "off"]
        command += ["--phases", "coverage,fuzzing", "-n", EXAMPLES, "--seed", SEED, *which]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        print(done.stdout[-6000:])
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    def _is_ready(self) -> bool:
        self.process.require_running()
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def _post(self, path: str, body: dict[str, str]) -> dict[str, str]:
        answer = requests.post(f"{self.url}{path}", json=body, headers=self._headers(), timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def _headers(self) -> dict[str, str]:
        token = getattr(self, "token", None)
        return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.fixture(params=["embedded", "postgres"])
def sentinel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sentinel]:
    """An installation on each store."""
    postgres = None
    if request.param == "postgres":
        # Its account has to get there.
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.geteuid() and folder != Path(folder.anchor):
                folder.chmod(folder.stat().st_mode | 0o011)
        postgres = Postgres(tmp_path)
    started = Sentinel(tmp_path, {"PG_DSN": postgres.dsn} if postgres else {})
    yield started
    started.stop()
    if postgres:
        postgres.stop()


def test_every_operation_answers_as_it_is_described(sentinel: Sentinel) -> None:
    sentinel.compare("--exclude-path", ENDLESS, "--exclude-path", REMOVES_TOKENS)
    assert sentinel.is_signed_in()
    sentinel.compare("--include-path", REMOVES_TOKENS)
