"""One Sentinel with a data folder of its own, and its admin API."""

import secrets
from pathlib import Path
from typing import Any

import httpx2

from gateways import Gateway, is_ready
from processes import Process, free_port
from waiting import until


class Installation:
    """Started at once. `stop` and `start` keep the data folder, as an operator's restart does."""

    def __init__(self, binary: Path, gateway: Gateway, folder: Path) -> None:
        self.binary = binary
        self.gateway = gateway
        self.data = folder / "data"
        self.password = secrets.token_hex(16)
        # Everything that it must keep to itself, by name.
        self.secrets = {"admin password": self.password}
        self.output_file = folder / "sentinel.log"
        self.process: Process | None = None
        self.start()

    def start(self) -> None:
        """Starts it and waits until it serves."""
        proxy, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{proxy}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        environment = {
            "UPSTREAM_URL": self.gateway.url,
            "SENTINEL_PROFILE": self.gateway.profile,
            "SENTINEL_LISTEN": f"127.0.0.1:{proxy}",
            "SENTINEL_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "SENTINEL_DATA_DIR": str(self.data),
            "ADMIN_USERNAME": "admin",
            "ADMIN_PASSWORD": self.password,
            # Everything that it could ever write to its log.
            "SENTINEL_LOG_FILTER": "trace",
        }
        self.process = Process([str(self.binary), "serve"], environment, self.output_file)
        until("Sentinel", lambda: is_ready(self.process, f"{self.admin_url}/readyz"))
        self._sign_in()

    def stop(self) -> None:
        """Stops it, if it runs, and insists that it ends well."""
        if self.process is not None:
            process, self.process = self.process, None
            assert process.stop() == 0, process.output()[-4000:]

    def bindings(self) -> list[dict[str, Any]]:
        """All bindings, newest first."""
        return self._get("/admin/api/bindings")["items"]

    def binding(self) -> dict[str, Any]:
        """The only binding there is."""
        bindings = self.bindings()
        assert len(bindings) == 1, bindings
        return bindings[0]

    def ban(self, binding: int) -> None:
        """Bans a binding's key."""
        answer = httpx2.post(
            f"{self.admin_url}/admin/api/bindings/ban",
            json={"id": binding},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30.0,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text

    def intercept(self, reference: str) -> dict[str, Any]:
        """The audit record with this reference, as soon as it is written."""
        rows = until(
            f"the audit record {reference}",
            lambda: self._get("/admin/api/logs", reference=reference)["items"],
        )
        assert len(rows) == 1, rows
        return rows[0]

    def _sign_in(self) -> None:
        credentials = {"username": "admin", "password": self.password}
        answer = httpx2.post(
            f"{self.admin_url}/admin/api/login", json=credentials, timeout=30.0, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["token"]
        self.secrets[f"admin token {len(self.secrets)}"] = self.token

    def _get(self, path: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx2.get(
            f"{self.admin_url}{path}", params=query, headers=headers, timeout=30.0, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()
