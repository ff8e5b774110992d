"""The gateways that Sentinel stands in front of: its own demo upstream, and a real LiteLLM proxy."""

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2

from processes import Process, free_port
from waiting import until

MOCKED_ANSWER = "Hello from behind LiteLLM, in words enough for several chunks."


@dataclass(frozen=True)
class Gateway:
    """A running gateway and what a client of it needs to know."""

    name: str
    url: str
    profile: str
    process: Process
    # One key for each SDK; a gateway with one key only has the same twice.
    keys: dict[str, str]
    models: dict[str, str]


def start_demo_upstream(sentinel: Path, folder: Path) -> Gateway:
    """The built-in upstream, with a fresh key for each SDK and one for LiteLLM."""
    # No "-" within: the new-api profile reads only what stands before it.
    keys = {name: f"sk-{secrets.token_hex(24)}" for name in ("openai", "anthropic", "litellm")}
    arguments = [str(sentinel), "demo", "--upstream-only", "--listen", "127.0.0.1:0"]
    for key in keys.values():
        arguments += ["--key", key]
    process = Process(arguments, {}, folder / "demo-upstream.log")

    def listening() -> str | None:
        process.require_running()
        lines = process.output().splitlines(keepends=True)
        told = [line for line in lines if line.startswith("listening on http://") and line.endswith("\n")]
        return told[0].split()[-1] if told else None

    url = until("the demo upstream's address", listening)
    return Gateway("demo", url, "new-api", process, keys, {"openai": "demo", "anthropic": "demo"})


def start_litellm(folder: Path, demo: Gateway) -> Gateway:
    """LiteLLM without a database: its master key is its only one. Needs no network beyond this machine."""
    # "-" and "_" as LiteLLM's own keys have them: a profile that cuts there would merge different keys.
    master_key = f"sk-{secrets.token_hex(12)}-{secrets.token_hex(6)}_{secrets.token_hex(6)}"
    config = {
        "model_list": [
            {
                "model_name": "mocked",
                "litellm_params": {
                    "model": "openai/mocked",
                    "api_key": "none",
                    "mock_response": MOCKED_ANSWER,
                },
            },
            {
                # LiteLLM does not stream mocked answers to Anthropic's clients, so these come from the demo upstream.
                "model_name": "relayed",
                "litellm_params": {
                    "model": "anthropic/demo",
                    "api_base": demo.url,
                    "api_key": demo.keys["litellm"],
                },
            },
        ],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": master_key},
    }
    # JSON is YAML.
    config_file = folder / "litellm.yaml"
    config_file.write_text(json.dumps(config, indent=2))
    port = free_port()
    arguments = [str(Path(sys.executable).with_name("litellm")), "--config", str(config_file)]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "NO_COLOR": "1"}
    process = Process(arguments, environment, folder / "litellm.log")
    url = f"http://127.0.0.1:{port}"
    until("LiteLLM", lambda: is_ready(process, f"{url}/health/readiness"))
    keys = {"openai": master_key, "anthropic": master_key}
    models = {"openai": "mocked", "anthropic": "relayed"}
    return Gateway("litellm", url, "litellm", process, keys, models)


def is_ready(process: Process, url: str) -> bool:
    """Whether the process answers 200 there; fails when it has ended."""
    process.require_running()
    try:
        return httpx2.get(url, timeout=5.0, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
