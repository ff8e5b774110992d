"""Starts what the tests need, once each, and stops it again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateways import Gateway, start_demo_upstream, start_litellm
from installation import Installation


# The SDKs read settings, further keys even, from variables that whoever runs the tests may have set.
for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_"))]:
    del os.environ[name]


@pytest.fixture(scope="session")
def binary() -> Path:
    """The built binary."""
    return Path(os.environ["SENTINEL_BIN"]).resolve(strict=True)


@pytest.fixture(scope="session")
def demo(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The demo upstream."""
    gateway = start_demo_upstream(binary, tmp_path_factory.mktemp("demo"))
    yield gateway
    assert gateway.process.stop() == 0, gateway.process.output()


@pytest.fixture(scope="session")
def litellm(demo: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A LiteLLM proxy."""
    gateway = start_litellm(tmp_path_factory.mktemp("litellm"), demo)
    yield gateway
    gateway.process.stop()


@pytest.fixture(params=["demo", "litellm"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """Each gateway in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def install(binary: Path, tmp_path: Path) -> Iterator[Callable[[Gateway], Installation]]:
    """Puts a fresh Sentinel in front of a gateway."""
    installations: list[Installation] = []

    def start(gateway: Gateway) -> Installation:
        folder = tmp_path / str(len(installations))
        folder.mkdir()
        installations.append(Installation(binary, gateway, folder))
        return installations[-1]

    yield start
    for installation in installations:
        installation.stop()
