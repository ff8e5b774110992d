"""The life of a key, seen through the real SDKs: bound at first use, allowed at home, refused elsewhere, nowhere in clear."""

import secrets
from collections.abc import Callable
from typing import Any

import openai
import pytest

from gateways import Gateway
from installation import Installation
from leaks import files, leaks
from sdks import ELSEWHERE, HOME, SDKS, OpenAi
from waiting import until

Install = Callable[[Gateway], Installation]


def refusal(client: Any, call: Callable[[], Any]) -> str:
    """Makes a call that Sentinel must refuse for its address; gives the refusal's reference."""
    with pytest.raises(client.permission_denied) as raised:
        call()
    error = raised.value
    assert client.code(error) == "key_ip_mismatch"
    assert ELSEWHERE in str(error) and HOME not in str(error), "names the caller's address, never the permitted one"
    reference = error.response.headers["X-Sentinel-Reference"]
    assert reference.startswith("sr_")
    return reference


def no_leaks(installation: Installation, gateway: Gateway, keys: dict[str, str]) -> None:
    """Insists that neither a file nor an output holds a key or another secret."""
    places = [installation.data, installation.output_file]
    if gateway.name == "demo":
        places.append(gateway.process.output_file)
    assert leaks(places, {**keys, **installation.secrets}) == []


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_a_key_is_bound_used_and_refused_elsewhere(install: Install, gateway: Gateway, sdk: Any) -> None:
    installation = install(gateway)
    key, model = gateway.keys[sdk.name], gateway.models[sdk.name]
    home = sdk(installation.url, key, model)
    elsewhere = sdk(installation.url, key, model, ELSEWHERE)

    # The first use binds, and the answer is the gateway's own.
    answer = home.whole()
    assert answer == sdk(gateway.url, key, model).whole()
    bound = installation.binding()
    assert (bound["status"], bound["networks"]) == ("active", [f"{HOME}/32"])
    assert bound["hint"].startswith(key[:5]) and bound["hint"].endswith(key[-4:])

    # The second use and a stream are allowed.
    assert home.whole() == answer
    pieces = home.streamed()
    assert len(pieces) > 3 and "".join(pieces) == answer

    # Elsewhere the same key is refused, streamed or not, and each refusal is on record.
    for call in (elsewhere.whole, elsewhere.streamed):
        row = installation.intercept(refusal(elsewhere, call))
        assert (row["reason"], row["outcome"], row["client_ip"]) == ("key_ip_mismatch", "refused", ELSEWHERE)
        assert (row["binding_id"], row["hint"], row["method"]) == (bound["id"], bound["hint"], "POST")

    # Uses are written while it runs; refused requests are none.
    used = until("three uses", lambda: next((b for b in installation.bindings() if b["use_count"] == 3), None))
    assert used["id"] == bound["id"] and used["last_used_at"] >= bound["bound_at"]

    # The last one is written at shutdown, and the binding outlives a restart.
    assert home.whole() == answer
    no_leaks(installation, gateway, {"key": key})
    installation.stop()
    installation.start()
    after = installation.binding()
    assert (after["id"], after["use_count"]) == (bound["id"], 4)
    assert after["last_used_at"] > used["last_used_at"], "last_used_at moved"
    elsewhere_again = sdk(installation.url, key, model, ELSEWHERE)
    refusal(elsewhere_again, elsewhere_again.whole)

    # No key in clear, anywhere; and the search looked where the key's hint is.
    installation.stop()
    no_leaks(installation, gateway, {"key": key})
    hint = bound["hint"].encode()
    assert any(hint in file.read_bytes() for file in files([installation.data]))


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_a_key_that_the_gateway_does_not_know_leaves_no_binding(
    install: Install, demo: Gateway, sdk: Any
) -> None:
    installation = install(demo)
    guessed = f"sk-{secrets.token_hex(24)}"
    with pytest.raises(sdk.status_error) as raised:
        sdk(installation.url, guessed, "demo").whole()
    assert raised.value.status_code == 401
    assert "X-Sentinel-Reference" not in raised.value.response.headers, "the answer is the gateway's own"
    until("no binding", lambda: not installation.bindings())
    # So the key's owner is not locked out: from elsewhere the gateway still answers by itself.
    with pytest.raises(sdk.status_error) as raised:
        sdk(installation.url, guessed, "demo", ELSEWHERE).whole()
    assert raised.value.status_code == 401
    installation.stop()
    no_leaks(installation, demo, {"guessed key": guessed})


def test_spellings_of_one_new_api_key_are_one_key(install: Install, demo: Gateway) -> None:
    installation = install(demo)
    key = demo.keys["openai"]
    OpenAi(installation.url, key, "demo").whole()
    # new-api reads what stands before the second "-"; the demo upstream would know only the exact key.
    respelled = OpenAi(installation.url, f"{key}-12", "demo", ELSEWHERE)
    refusal(respelled, respelled.whole)
    assert len(installation.bindings()) == 1


def test_litellm_keys_that_begin_alike_are_different_keys(install: Install, litellm: Gateway) -> None:
    installation = install(litellm)
    key = litellm.keys["openai"]
    OpenAi(installation.url, key, "mocked").whole()
    other = f"{key.rsplit('-', 1)[0]}-{secrets.token_hex(6)}"
    with pytest.raises(openai.APIStatusError) as raised:
        OpenAi(installation.url, other, "mocked", ELSEWHERE).whole()
    # LiteLLM without a database says 400 to a key that it does not know.
    assert raised.value.status_code in (400, 401)
    assert "X-Sentinel-Reference" not in raised.value.response.headers
