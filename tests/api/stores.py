"""A throw-away PostgreSQL."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from processes import Process, free_port
from waiting import until

DEBIAN_FOLDER = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root. Debian's package makes the first one; every machine has the second.
ACCOUNTS = ("postgres", "nobody")


class Postgres:
    """Started at once, in a folder that nobody else uses. `dsn` is for the binary."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "postgres"
        self.data.mkdir()
        self._command = list[str]()
        if os.geteuid() == 0:
            accounts = {account.pw_name: account for account in pwd.getpwall()}
            account = next(accounts[name] for name in ACCOUNTS if name in accounts)
            os.chown(self.data, account.pw_uid, account.pw_gid)
            ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
            self._command = ["setpriv", *ids, "--clear-groups"]
        initdb = ["initdb", "-D", str(self.data), "-U", "sentinel", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(self._of(initdb), check=True, capture_output=True, cwd=self.data)
        port = free_port()
        server = ["postgres", "-D", str(self.data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        self.process = Process(self._of(server), {}, folder / "postgres.log")
        self.dsn = f"postgresql://sentinel@127.0.0.1:{port}/postgres"
        ready = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        until("PostgreSQL", lambda: subprocess.run(self._of(ready), cwd=self.data).returncode == 0)

    def stop(self) -> None:
        """Stops it."""
        self.process.stop()

    def _of(self, command: list[str]) -> list[str]:
        return [*self._command, str(program(command[0])), *command[1:]]


def program(name: str) -> Path:
    """A program of the newest PostgreSQL that is installed."""
    versions = [path for path in DEBIAN_FOLDER.glob("*/bin") if re.fullmatch(r"\d+", path.parent.name)]
    folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    found = [folder / name for folder in folders if (folder / name).exists()]
    path = shutil.which(name)
    assert found or path, f"{name} is missing: on Debian, apt-get install postgresql"
    return found[0] if found else Path(path)
