"""The real SDKs behind one small interface. Retries are off: each call is one request."""

from typing import Any

import anthropic
import httpx2
import openai

CALL_SECONDS_MAX = 30.0
HOME = "127.0.0.1"
ELSEWHERE = "127.0.0.2"


def http_client(local_address: str) -> httpx2.Client:
    """A client whose connections come from this address of the machine."""
    return httpx2.Client(transport=httpx2.HTTPTransport(local_address=local_address), timeout=CALL_SECONDS_MAX)


class OpenAi:
    """The `openai` package: chat completions."""

    name = "openai"
    permission_denied = openai.PermissionDeniedError
    status_error = openai.APIStatusError

    def __init__(self, url: str, key: str, model: str, local_address: str = HOME) -> None:
        self.model = model
        self.client = openai.OpenAI(
            api_key=key, base_url=f"{url}/v1", max_retries=0, http_client=http_client(local_address)
        )

    def whole(self) -> str:
        """Asks for an answer in one piece."""
        answer = self.client.chat.completions.create(model=self.model, messages=[self._hello()])
        assert answer.usage is not None and answer.usage.total_tokens > 0
        return answer.choices[0].message.content or ""

    def streamed(self) -> list[str]:
        """Asks for a stream and gives its pieces of text."""
        chunks = self.client.chat.completions.create(model=self.model, messages=[self._hello()], stream=True)
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        return [text for text in texts if text]

    @staticmethod
    def code(error: openai.APIStatusError) -> Any:
        """The error's code, as the SDK offers it."""
        return error.code

    @staticmethod
    def _hello() -> Any:
        return {"role": "user", "content": "Hello"}


class Anthropic:
    """The `anthropic` package: messages."""

    name = "anthropic"
    permission_denied = anthropic.PermissionDeniedError
    status_error = anthropic.APIStatusError

    def __init__(self, url: str, key: str, model: str, local_address: str = HOME) -> None:
        self.model = model
        self.client = anthropic.Anthropic(
            api_key=key, base_url=url, max_retries=0, http_client=http_client(local_address)
        )

    def whole(self) -> str:
        """Asks for an answer in one piece."""
        answer = self.client.messages.create(**self._hello())
        assert answer.usage.output_tokens > 0
        return "".join(block.text for block in answer.content if block.type == "text")

    def streamed(self) -> list[str]:
        """Asks for a stream and gives its pieces of text."""
        with self.client.messages.stream(**self._hello()) as stream:
            texts = list(stream.text_stream)
            assert stream.get_final_message().stop_reason == "end_turn"
        return [text for text in texts if text]

    @staticmethod
    def code(error: anthropic.APIStatusError) -> Any:
        """The error's code; the SDK leaves it in the body."""
        assert isinstance(error.body, dict), error.body
        assert error.body["error"]["type"] == "permission_error", error.body
        return error.body["error"].get("code")

    def _hello(self) -> Any:
        return {
            "model": self.model,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Hello"}],
        }


SDKS = [OpenAi, Anthropic]
