"""A language model's server as OpenAI's API describes it, which takes nothing but sentences and figures of insights.

What a request may hold is written down here once more, key by key: whatever else comes is refused and remembered.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "sk-of-the-test"
ASKED = {"model", "messages", "max_tokens", "temperature", "stream"}
Words = Callable[[list[dict[str, Any]]], str]


def repeated(findings: list[dict[str, Any]]) -> str:
    """A report that says what it was told."""
    return " ".join(each["sentence"] for each in findings)


class ScriptedModel:
    """``words`` makes a report of what it is shown. ``known`` are the sentences and figures that may come."""

    def __init__(self, words: Words = repeated, known: Callable[[], list[dict[str, Any]]] | None = None) -> None:
        self.words = words
        self.known = known
        self.refused: list[str] = []
        self.shown: list[list[dict[str, Any]]] = []
        #: in place of a sound answer: its status, its headers, its body
        self.instead: tuple[int, Mapping[str, str], bytes] | None = None
        #: seconds between two bytes of the answer
        self.slow_s = 0.0
        self.finish = "stop"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body for a request."""
        if why := self._wrong(method, path, headers, body):
            self.refused.append(why)
            return 400, json.dumps({"error": {"message": why}}).encode()
        findings = json.loads(json.loads(body)["messages"][1]["content"])
        self.shown.append(findings)
        message = {"role": "assistant", "content": self.words(findings)}
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return 200, json.dumps({"object": "chat.completion", "choices": [choice]}).encode()

    def _wrong(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        if (method, path) != ("POST", "/v1/chat/completions"):
            return f"{method} {path}"
        if headers.get("authorization") != f"Bearer {KEY}":
            return "a wrong key"
        asked = json.loads(body)
        if set(asked) != ASKED or asked["stream"] is not False:
            return f"fields {sorted(asked)}"
        system, person = asked["messages"]
        if [set(system), set(person)] != [{"role", "content"}] * 2 or (system["role"], person["role"]) != (
            "system", "user",
        ):  # fmt: skip
            return "other messages"
        if any(letter.isdigit() for letter in system["content"].replace("150 words", "")):
            return "the instruction says a number"
        for each in json.loads(person["content"]):
            if set(each) != {"sentence", "figures"}:
                return f"a finding of {sorted(each)}"
            if self.known is not None and each not in self.known():
                return "what is in no insight"
        return ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, told = model.answer(self.command, self.path, headers, body)
                more: Mapping[str, str] = {}
                if model.instead is not None:
                    status, more, told = model.instead
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                try:
                    for byte in range(len(told)) if model.slow_s else ():
                        self.wfile.write(told[byte : byte + 1])
                        time.sleep(model.slow_s)
                    if not model.slow_s:
                        self.wfile.write(told)
                except OSError:
                    pass  # who asked has gone

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                """Nothing."""

        return Handler
