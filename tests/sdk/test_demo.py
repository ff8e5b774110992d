"""The demo that a newcomer runs first."""

import subprocess
from pathlib import Path

DEMO_SECONDS_MAX = 60.0


def test_the_demo_does_what_it_says(binary: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(binary), "demo"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Every step did what it says.")
    for shown in ("200 OK", "403 Forbidden", "X-Sentinel-Reference: sr_", "401 Unauthorized", "curl -iN --interface"):
        assert shown in done.stdout, shown
    assert "\x1b[" not in done.stdout, "no colours where there is no terminal"
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"
