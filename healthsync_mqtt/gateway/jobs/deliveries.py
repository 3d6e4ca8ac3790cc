"""Events are posted to the webhooks of subscribers: a place in the log each, which moves when the other side took them.

What was not taken comes again, later and later, for three days; then the webhook is disabled, and says so. An event may
come twice, and is the same by its user and ``seq``. Of the gateways of an installation one delivers.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Container
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.gateway.connections.public_https import (
    PostAnswer,
    RefusedTargetError,
    Resolve,
    post,
    resolve,
    target,
)
from healthsync_mqtt.gateway.event_log.pages import AT_ONCE_BYTES, changes
from healthsync_mqtt.gateway.event_log.shares import Shares
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.identity.login.webhook_secret import signature, webhook_secret
from healthsync_mqtt.identity.people.opening import Turn
from healthsync_mqtt.identity.people.webhooks import Webhook, WebhookBook
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("gateway")

AGAIN_S: Final = (5, 60, 300, 1_800, 7_200, 18_000, 36_000)
"""Seconds until the next try; the last of them again and again."""
GIVEN_UP_S: Final = 3 * 86_400
"""Seconds of failures after which a webhook is disabled."""
BOTH_S: Final = 86_400
"""Seconds in which both secrets sign after another one was made."""
_GONE: Final = 410
_LOOK_S: Final = 0.5
_MOST_AT_ONCE: Final = 8
_EVENTS: Final = 100
_SECOND_US: Final = 1_000_000


def message(events: list[bytes], now_us: int) -> bytes:
    """The body of a delivery."""
    return b'{"type":"events","timestamp":"%b","data":{"events":[%b]}}' % (iso(now_us).encode(), b",".join(events))


def test_message(name: str, now_us: int) -> bytes:
    """The body of a test: it holds no event."""
    return b'{"type":"test","timestamp":"%b","data":{"webhook":"%b"}}' % (iso(now_us).encode(), name.encode())


def signed_headers(webhook: Webhook, secret: str, message_id: str, now_us: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0."""
    generations = [webhook.generation]
    if webhook.generation > 1 and now_us < webhook.rotated_us + BOTH_S * _SECOND_US:
        generations.append(webhook.generation - 1)
    keys = [webhook_secret(secret, webhook.name, each) for each in generations]
    timestamp = now_us // _SECOND_US
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, message_id, timestamp, body),
    }


class Deliveries:
    """``run`` is a task of the process."""

    def __init__(
        self,
        *,
        book: WebhookBook,
        directory: Directory,
        log_pool: LogPool,
        shares: Shares,
        secret: Callable[[], str],
        turn: Turn,
        named: Container[str],
        resolve: Resolve = resolve,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``named`` are hosts that may have any address; whose ``turn`` it is delivers."""
        self._book = book
        self._directory = directory
        self._log = log_pool
        self._shares = shares
        self._secret = secret
        self._turn = turn
        self._named = named
        self._resolve = resolve
        self._clock_us = clock_us
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._busy: dict[str, asyncio.Task[None]] = {}
        #: where each is that nothing was to be told to since: it costs no write
        self._passed: dict[str, tuple[str, int, int]] = {}
        self.delivered = 0
        #: of each as it was when it was looked at last: events of the log behind its place, failures one after the
        #: other, and whether it is disabled
        self._lags: dict[str, dict[str, Any]] = {}

    def secret_of(self, webhook: Webhook) -> str:
        """What signs it now."""
        return webhook_secret(self._secret(), webhook.name, webhook.generation)

    def expect(self, url: str, *, of_admin: bool = True) -> None:
        """RefusedTargetError for a URL that nothing is posted to. A host that may be anywhere is an admin's choice."""
        if target(url, self._named).anywhere and not of_admin:
            raise RefusedTargetError("webhooks to that host are made by admins", hint="ask one, or take another host")

    async def end(self) -> tuple[str, int]:
        """Where one begins that is added now: the log that there is, and its end; no name where there is none yet."""
        try:
            return await self._log.ask(lambda reader: (reader.epoch, reader.head()))
        except UnavailableError:
            return "", 0

    def told(self) -> list[dict[str, Any]]:
        """How far each is behind, by name, as values of JSON."""
        return [{"webhook": name, **lag} for name, lag in sorted(self._lags.items())]

    async def try_now(self, webhook: Webhook) -> PostAnswer:
        """Post a signed test message, which holds no event. RefusedTargetError; OSError when nobody answers."""
        body = test_message(webhook.name, self._clock_us())
        headers = signed_headers(webhook, self._secret(), f"msg_{secrets.token_hex(16)}", self._clock_us(), body)
        return await post(target(webhook.url, self._named), headers, body, resolve=self._resolve)

    async def run(self) -> None:
        """Deliver while it is our turn, for ever."""
        failing = False
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                try:
                    if await asyncio.to_thread(self._turn.take):
                        await self._look()
                    else:
                        await self._stop()
                    failing = False
                except (HealthSyncError, OSError) as error:
                    if not failing:
                        log.warning("gateway.webhooks_unreadable", error=error)
                    failing = True
        finally:
            await self._stop()
            self._turn.leave()

    async def _stop(self) -> None:
        """Post no more: another gateway does."""
        self._lags = {}
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _look(self) -> None:
        now_us = self._clock_us()
        busy = frozenset(self._busy)  # what is read now may not say yet how far these have come
        webhooks = await asyncio.to_thread(self._book.all)
        epoch, head = await self.end() if webhooks else ("", 0)
        self._lags = {each.name: self._lag(each, epoch, head) for each in webhooks}
        for webhook in webhooks:
            wanting = webhook.epoch != epoch or self._lags[webhook.name]["lag"]
            if wanting and webhook.disabled_us is None and now_us >= webhook.due_us and webhook.name not in busy:
                task = asyncio.create_task(self._serve(webhook), name=f"gateway.webhook.{webhook.name}")
                self._busy[webhook.name] = task
                task.add_done_callback(partial(self._served, webhook.name))

    def _lag(self, webhook: Webhook, epoch: str, head: int) -> dict[str, Any]:
        lag = max(0, head - self._at(webhook, epoch, head))
        return {"lag": lag, "failures": webhook.failures, "disabled": webhook.disabled_us is not None}

    def _at(self, webhook: Webhook, epoch: str, head: int) -> int:
        """Where it is in the log as it is now: at its end where it is new, at the beginning of another log."""
        passed = self._passed.get(webhook.name)
        if passed is not None and (passed[0], passed[2]) == (epoch, webhook.seq):
            return passed[1]
        if webhook.epoch == epoch:
            return webhook.seq
        return 0 if webhook.epoch else head

    def _served(self, name: str, task: "asyncio.Task[None]") -> None:
        del self._busy[name]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("gateway.webhook_failed", webhook=name, kind=type(error).__name__)

    async def _serve(self, webhook: Webhook) -> None:
        """Post what there is, until there is no more or it fails."""
        async with self._slots:
            entry = self._directory.entry(Role.subscriber, webhook.subscriber, None)
            if entry is None:
                return  # suspended, or removed: nothing is for it
            if webhook.holder_epoch not in {None, entry.epoch}:
                # Who had a token that is void may have made it, and would be told of everything for ever.
                void = {"disabled_us": self._clock_us(), "said": "its subscriber's tokens were revoked"}
                await asyncio.to_thread(partial(self._book.note, webhook.name, **void))
                log.warning("gateway.webhook_void", webhook=webhook.name)
                return
            caller = Caller(Login(principal=entry.principal, expires_at=0.0, jti=None), entry.epoch)
            shown = partial(self._shares.shows, caller)
            while True:
                epoch, after = await self._place(webhook)
                found = await self._log.ask(
                    partial(changes, after=after, limit=_EVENTS, shown=shown, most_bytes=AT_ONCE_BYTES)
                )
                if not found.events:
                    self._passed[webhook.name] = (epoch, found.through, webhook.seq)
                    if not found.more:
                        return
                    continue
                body = message([canonical_json(each) for each in found.events], self._clock_us())
                mark = f"{webhook.name}\n{epoch}\n{after}\n{found.through}".encode()
                said = await self._post(webhook, "msg_" + blake2b(mark, digest_size=16).hexdigest(), body)
                if said is not None:
                    await self._failed(webhook, said)
                    return
                self.delivered += len(found.events)
                self._passed.pop(webhook.name, None)
                changed: dict[str, Any] = {
                    "epoch": epoch, "seq": found.through, "failures": 0, "failing_us": None, "due_us": 0,
                    "said": "taken", "delivered_us": self._clock_us(),
                }  # fmt: skip
                await asyncio.to_thread(partial(self._book.note, webhook.name, **changed))
                webhook = await asyncio.to_thread(self._book.of, webhook.name)
                if not found.more or webhook.disabled_us is not None:
                    return

    async def _place(self, webhook: Webhook) -> tuple[str, int]:
        """The log, and where it is in it; a new one begins there for good."""
        epoch, after = await self._log.ask(
            lambda reader: (reader.epoch, self._at(webhook, reader.epoch, reader.head()))
        )
        if not webhook.epoch:
            await asyncio.to_thread(partial(self._book.note, webhook.name, epoch=epoch, seq=after))
        return epoch, after

    async def _post(self, webhook: Webhook, message_id: str, body: bytes) -> PostAnswer | str | None:
        """None: it was taken. What came of it otherwise."""
        headers = signed_headers(webhook, self._secret(), message_id, self._clock_us(), body)
        try:
            answer = await post(target(webhook.url, self._named), headers, body, resolve=self._resolve)
        except RefusedTargetError as error:
            return str(error)
        except TimeoutError:
            return "no answer in time"
        except OSError as error:
            return f"no connection: {error.strerror or type(error).__name__}"
        return None if 200 <= answer.status < 300 else answer

    async def _failed(self, webhook: Webhook, said: PostAnswer | str) -> None:
        now_us = self._clock_us()
        failing_us = now_us if webhook.failing_us is None else webhook.failing_us
        wait_s = AGAIN_S[min(webhook.failures, len(AGAIN_S) - 1)] * random.uniform(1.0, 1.2)  # noqa: S311  # spread
        if isinstance(said, PostAnswer) and said.retry_after_s is not None:
            wait_s = max(wait_s, min(said.retry_after_s, 86_400.0))
        words = said if isinstance(said, str) else f"answered {said.status}"
        gone = isinstance(said, PostAnswer) and said.status == _GONE
        over = gone or now_us - failing_us >= GIVEN_UP_S * _SECOND_US
        await asyncio.to_thread(
            partial(
                self._book.note,
                webhook.name,
                failures=webhook.failures + 1,
                failing_us=failing_us,
                due_us=now_us + int(wait_s * _SECOND_US),
                said=words,
                disabled_us=now_us if over else None,
            )
        )
        log.warning("gateway.webhook_not_taken", webhook=webhook.name, said=words, disabled=over)
