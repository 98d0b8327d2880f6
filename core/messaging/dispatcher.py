"""The workers: claim, run, finish; reap what others left; inquire about what is not known.

Claims commit at once and handlers run outside of any transaction. A worker that lost its lease cannot finish.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from tillhook.core.domain.problems import Problem, store_type_unavailable
from tillhook.core.messaging.duties import perform
from tillhook.core.messaging.scheduling import Scheduler
from tillhook.core.plugins.guard import HookRefused
from tillhook.core.roles.duties import Parked, Permanent, RetryLater
from tillhook.core.roles.settings import without_secrets
from tillhook.core.services.announcing import SHADOWS
from tillhook.core.services.platform import Platform
from tillhook.core.services.resolving import resolve_due
from tillhook.core.services.settling import COMPLETE_LATER
from tillhook.core.services.shadowing import KEPT_FOR
from tillhook.core.storage.events import (
    Claimed,
    DeliveryState,
    anything_due,
    anything_expired,
    claim,
    finish,
    give_back,
    postpone,
    reap,
    renew,
    retry,
)
from tillhook.core.storage.idempotency import purge_keys
from tillhook.core.storage.shadows import purge_comparisons
from tillhook.core.telemetry.logs import work as work_logged

log = structlog.get_logger("tillhook.duties")

BATCH: Final = 8
MOST_DOUBLINGS: Final = 30
"""Of the pause between attempts; beyond them any setting has reached its cap."""
PARKED: Final = timedelta(seconds=60)
"""How long a duty waits that cannot be tried, as its plugin is switched off or its store type has no shop."""
PURGE_EVERY: Final = timedelta(hours=1)


class Dispatcher:
    """Runs deliveries in ``system.work.threads`` threads until it is stopped. ``wake`` after a commit."""

    def __init__(
        self,
        platform: Platform,
        *,
        observe: Callable[[str, str], None] = lambda subscriber, state: None,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311 - spreads retries, guards nothing
    ) -> None:
        self._platform = platform
        self._observe = observe
        self._jitter = jitter
        self._owner = platform.new_id("wrk")
        self.scheduler = Scheduler(platform)
        self._news = threading.Condition()
        self._rest = threading.Condition()
        self._purged_at = platform.clock()
        self._woken = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(self._platform.system.work.threads):
            self._spawn(f"tillhook-duties-{number}", lambda: self._loop(self.run_once, self._news))
        self._spawn("tillhook-keeper", lambda: self._loop(self.keep_house, self._rest))
        # In a thread of its own: a schedule may take its time, open payments must not wait for it.
        self._spawn("tillhook-schedules", lambda: self._loop(self.scheduler.run_due, self._rest))

    def stop(self) -> None:
        """Finish what is running, take nothing new."""
        self._stopping.set()
        for waiting in (self._news, self._rest):
            with waiting:
                waiting.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def wake(self) -> None:
        """Something was committed: look now, do not wait for the next poll."""
        with self._news:
            self._woken += 1
            self._news.notify()

    def run_once(self, stream: str | None = None) -> int:
        """Claim and run what is due, of one ``stream`` (an order's id) or of all; how many deliveries were run."""
        platform, now = self._platform, self._platform.clock()
        if not platform.db.read(lambda tx: anything_due(tx, now)):
            return 0
        owner = f"{self._owner}:{threading.get_ident()}"
        until = now + timedelta(seconds=platform.system.work.lease_seconds)
        taken = platform.db.write(lambda tx: claim(tx, owner, now, until, BATCH, stream))
        for claimed in sorted(taken, key=lambda at: at.subscriber in SHADOWS):
            if self._stopping.is_set():
                platform.db.write(lambda tx, at=claimed.delivery_id: give_back(tx, at, owner))  # type: ignore[misc]
            else:
                self._run(claimed, owner, now)
        return len(taken)

    def run_until_idle(self, rounds: int = 1000, *, stream: str | None = None) -> int:
        """Run everything that is due now, in this thread, of one ``stream`` or of all; how many deliveries were run."""
        total = 0
        for _ in range(rounds):
            done = self.run_once(stream)
            if not done:
                return total
            total += done
        raise RuntimeError(f"still busy after {rounds} rounds")

    def keep_house(self) -> int:
        """Free the deliveries of dead workers, inquire about open payments, forget old keys and comparisons, remember
        who consumes which topic.

        Returns how much there was to do.
        """
        platform, now = self._platform, self._platform.clock()
        platform.rooms.keep_consumers()
        freed = 0
        if platform.db.read(lambda tx: anything_expired(tx, now)):
            freed = platform.db.write(lambda tx: reap(tx, now))
        if now - self._purged_at >= PURGE_EVERY:
            self._purged_at = now
            before = now - timedelta(hours=platform.system.idempotency.hours)
            platform.db.write(lambda tx: (purge_keys(tx, before), purge_comparisons(tx, now - KEPT_FOR)))
        return freed + resolve_due(platform)

    def _run(self, claimed: Claimed, owner: str, claimed_at: datetime) -> None:
        platform = self._platform
        lease = timedelta(seconds=platform.system.work.lease_seconds)
        now = platform.clock()
        # Those before it in the batch may have taken their time, and this one may take all that a duty may.
        spare = lease - timedelta(seconds=platform.system.hooks.duty_seconds)
        if now - claimed_at > min(lease / 3, spare / 2) and not platform.db.write(
            lambda tx: renew(tx, claimed.delivery_id, owner, now + lease)
        ):
            return
        if claimed.attempts > platform.system.work.max_attempts and claimed.subscriber != COMPLETE_LATER:
            # None of its runs ever ended: each took its worker with it, or outlasted the lease.
            self._failed(claimed, owner, Permanent(f"no end after {claimed.attempts - 1} attempts"), 0)
            return
        platform.checkpoint(f"duty.{claimed.subscriber}.before")
        started = time.perf_counter()
        try:
            with work_logged(duty=claimed.subscriber, attempt=claimed.attempts):
                result = perform(platform, claimed)
        except Exception as error:  # noqa: BLE001 - kept with the delivery, and retried or shown
            self._failed(claimed, owner, error, _ms(started))
            return
        platform.checkpoint(f"duty.{claimed.subscriber}.after")
        self._finish(claimed, owner, DeliveryState.DONE, error="", result=result, ms=_ms(started))

    def _failed(self, claimed: Claimed, owner: str, error: Exception, ms: int) -> None:
        platform, work = self._platform, self._platform.system.work
        if isinstance(error, Parked) or (isinstance(error, Problem) and error.code == store_type_unavailable.code):
            why, again = f"waits: {error}"[:2000], platform.clock() + PARKED
            platform.db.write(lambda tx: postpone(tx, claimed.delivery_id, owner, why=why, at=again))
            self._observe(claimed.subscriber, "PARKED")
            return
        text = without_secrets(f"{type(error).__name__}: {error}")[:2000]
        # An order that is paid is never given up: it completes when what keeps it from completing is repaired.
        given_up = claimed.attempts >= work.max_attempts and claimed.subscriber != COMPLETE_LATER
        if claimed.subscriber in SHADOWS and (isinstance(error, Permanent) or given_up):
            log.warning("comparison given up", subscriber=claimed.subscriber, stream=claimed.stream_key, error=text)
            self._finish(claimed, owner, DeliveryState.DISCARDED, error=text, result="", ms=ms)
            return
        if isinstance(error, Permanent) or given_up:
            log.error("duty is a dead letter", subscriber=claimed.subscriber, stream=claimed.stream_key, error=text)
            self._finish(claimed, owner, DeliveryState.DEAD, error=text, result="", ms=ms)
            return
        doublings = min(claimed.attempts - 1, MOST_DOUBLINGS)
        pause = min(work.backoff_seconds * 2**doublings, work.backoff_cap_seconds) * self._jitter()
        if isinstance(error, RetryLater) and error.seconds is not None:
            # A duty that is not even begun, as its plugin hangs, must not use its attempts up sooner than failures do.
            pause = max(pause, error.seconds) if isinstance(error, HookRefused) else error.seconds
        at = platform.clock() + timedelta(seconds=pause)
        log.warning("duty will be tried again", subscriber=claimed.subscriber, stream=claimed.stream_key, error=text)
        platform.db.write(lambda tx: retry(tx, claimed.delivery_id, owner, error=text, ms=ms, at=at))
        self._observe(claimed.subscriber, "RETRY")

    def _finish(self, claimed: Claimed, owner: str, state: DeliveryState, *, error: str, result: str, ms: int) -> None:
        now = self._platform.clock()
        held = self._platform.db.write(
            lambda tx: finish(tx, claimed.delivery_id, owner, state, error=error, result=result, ms=ms, now=now)
        )
        self._observe(claimed.subscriber, state.name if held else "LEASE_LOST")

    def _loop(self, work: Callable[[], int], waiting: threading.Condition) -> None:
        seen = -1
        while not self._stopping.is_set():
            with waiting:
                if seen == self._woken or waiting is self._rest:
                    waiting.wait(self._platform.system.work.poll_seconds)
                seen = self._woken
            if self._stopping.is_set():
                return
            try:
                while work() and not self._stopping.is_set():
                    pass
            except BaseException:
                # Neither a database that is away for a while nor a plugin that wants to leave may end the worker.
                log.exception("worker round failed")

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
