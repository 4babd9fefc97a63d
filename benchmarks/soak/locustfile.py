"""The traffic of a soak, for locust: desks, each of an engine, an analyst and an auditor who do what theirs do all day.

``benchmarks.soak.load`` starts it, in a process of its own: gevent replaces sockets and threads there, so nothing of the
service is imported. What it has to do stands in the file that SOAK_PLAN names, what came of it is written to another.
"""

import json
import os
import time
from collections import Counter, deque
from pathlib import Path
from random import SystemRandom
from typing import Final

from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from locust.exception import RescheduleTask

PLAN: Final = json.loads(Path(os.environ["SOAK_PLAN"]).read_text(encoding="utf-8"))
BACKLOG: Final = 3 * len(PLAN["desks"])
"""Items that wait; with fewer, an analyst who looks for work finds an engine that submits."""
REPEATED: Final = 0.05
"""Of the submissions are sent a second time, as after a lost answer."""
REMEMBERED: Final = 200
EVERY: Final = 0.0 if PLAN["rounds"] is None else len(PLAN["desks"]) / PLAN["rounds"]
"""Seconds from one round of a desk to the next; 0: as many as it can."""
MOST_BEHIND: Final = 5.0
"""Seconds of rounds that a desk makes up for when one took longer than that."""
PRIORITIES: Final = ("critical", "high", "medium", "low")
VERDICTS: Final = ("approved", "approved", "approved", "rejected")
PERCENTILES: Final = (0.5, 0.95, 0.99)

chance: Final = SystemRandom()
seats = iter(enumerate(PLAN["desks"]))
submitted: list[str] = []
resolved: dict[str, str] = {}
rounds: Counter[int] = Counter()


class Person:
    """Somebody who logs in, and the tokens they have."""

    def __init__(self, desk: "Desk", username: str) -> None:
        self._desk, self._username = desk, username

    def log_in(self) -> None:
        self._take("/api/auth/login", data=f"username={self._username}&password={PLAN['password']}")

    def refresh(self) -> None:
        self._take("/api/auth/refresh", json={"refresh_token": self._spare})

    def log_out(self) -> None:
        self._desk.call("POST", "/api/auth/logout", by=self.headers)

    def _take(self, path: str, **sent: object) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"} if "data" in sent else {}
        pair = self._desk.call("POST", path, by=form, **sent).json()
        self.headers, self._spare = {"Authorization": f"Bearer {pair['access_token']}"}, pair["refresh_token"]


class Desk(FastHttpUser):
    """One engine that submits, one analyst who decides, one auditor who reads; one round is one of the tasks."""

    network_timeout = connection_timeout = 60.0

    def wait_time(self) -> float:
        rounds[int(time.time())] += 1
        now = time.monotonic()
        self.due = max(self.due + EVERY, now - MOST_BEHIND)
        return max(0.0, self.due - now) if EVERY else 0.0

    def on_start(self) -> None:
        number, seat = next(seats)
        self.prefix = f"{PLAN['prefix']}-{number}"
        self.engine = {"Authorization": f"Bearer {seat['key']}"}
        self.analyst, self.auditor = Person(self, seat["analyst"]), Person(self, seat["auditor"])
        self.mine: deque[str] = deque(maxlen=REMEMBERED)
        self.count = 0
        for person in (self.analyst, self.auditor):
            person.log_in()
        self.due = time.monotonic()

    def call(
        self,
        method: str,
        path: str,
        *,
        by: dict[str, str],
        name: str = "",
        accepted: tuple[int, ...] = (200,),
        **sent: object,
    ) -> FastResponse:
        """Make a call and count it; any status but these is an error, and the end of this round."""
        with self.client.request(
            method, path, name=name or path, headers=by, catch_response=True, **sent
        ) as answer:
            is_right = answer.status_code in accepted
            if is_right:
                answer.success()
            else:
                answer.failure(reason(answer))
        if not is_right:
            raise RescheduleTask
        return answer

    @task(120)
    def submit(self) -> None:
        self.count += 1
        name = f"{self.prefix}-{self.count}"
        headers = {**self.engine, "Idempotency-Key": name}
        first = self.call("POST", "/api/decisions/submit", by=headers, json=item(name))
        submitted.append(name)
        self.mine.append(name)
        if chance.random() < REPEATED:
            again = self.call(
                "POST",
                "/api/decisions/submit",
                name="/api/decisions/submit, once more",
                by=headers,
                json=item(name),
            )
            self.must(again.content == first.content, f"a repeated submission of {name} got another answer")

    @task(80)
    def read(self) -> None:
        if self.mine:
            name = chance.choice(self.mine)
            shown = self.call(
                "GET", f"/api/decisions/{name}", name="/api/decisions/{id}", by=self.engine
            ).json()
            self.must(shown["analysis_id"] == name, f"asked for {name}, got {shown['analysis_id']}")

    @task(50)
    def fetch(self) -> None:
        if self.mine:
            self.response(chance.choice(self.mine), by=self.engine)

    @task(5)
    def wait_for_it(self) -> None:
        if self.mine:
            path = f"/api/decisions/{self.mine[-1]}/response"
            self.call(
                "GET",
                f"{path}?wait=1",
                name="/api/decisions/{id}/response?wait=1",
                by=self.engine,
                accepted=(200, 404),
            )

    @task(120)
    def work(self) -> None:
        """Take whatever is next, and decide it."""
        if len(submitted) - len(resolved) < BACKLOG:
            self.submit()
            return
        taken = self.call(
            "POST", "/api/decisions/next", by=self.analyst.headers, json={}, accepted=(200, 204)
        )
        if taken.status_code == 200:
            self.decide(taken.json())

    @task(30)
    def pick(self) -> None:
        """Choose from the list; somebody else may be quicker."""
        listed = self.look()
        if listed:
            path = f"/api/decisions/{chance.choice(listed)['analysis_id']}/claim"
            name = "/api/decisions/{id}/claim"
            taken = self.call("POST", path, name=name, by=self.analyst.headers, accepted=(200, 409))
            if taken.status_code == 200:
                self.decide(taken.json())

    @task(20)
    def look(self) -> list[dict[str, object]]:
        return self.call("GET", "/api/decisions/pending?limit=50", by=self.analyst.headers).json()

    @task(30)
    def statistics(self) -> None:
        self.call("GET", "/api/decisions/stats/summary", by=self.analyst.headers)

    @task(15)
    def look_back(self) -> None:
        by = self.auditor.headers
        self.call("GET", "/api/audit/events?order=desc&limit=50", by=by)
        self.call("GET", "/tlog/checkpoint", by={})
        if self.mine:
            path = f"/api/audit/decisions/{chance.choice(self.mine)}/timeline"
            self.call("GET", path, name="/api/audit/decisions/{id}/timeline", by=by)

    @task(2)
    def refresh(self) -> None:
        self.analyst.refresh()
        self.auditor.refresh()

    @task(1)
    def come_back(self) -> None:
        self.analyst.log_out()
        self.analyst.log_in()

    def must(self, holds: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Count an answer that is no error by its status, and wrong all the same."""
        if not holds:
            self.environment.stats.log_error("CHECK", "what was answered", what)

    def decide(self, taken: dict[str, object]) -> None:
        name, lease, status = str(taken["analysis_id"]), taken["lease"], chance.choice(VERDICTS)
        body = {
            "decision_id": name,
            "status": status,
            "approved_actions": ["block_ip"] if status == "approved" else [],
            "notes": "Seen.",
            "lease_id": lease["lease_id"],
            "fencing_token": lease["fencing_token"],
        }
        path = f"/api/decisions/{name}/decide"
        headers = {**self.analyst.headers, "Idempotency-Key": f"{name}-verdict"}
        self.call("POST", path, name="/api/decisions/{id}/decide", by=headers, json=body)
        resolved[name] = status
        self.response(name, by=self.analyst.headers)

    def response(self, name: str, *, by: dict[str, str]) -> None:
        """Fetch an answer; it may be missing only where nobody has been told that there is one."""
        expected = resolved.get(name)
        path, accepted = f"/api/decisions/{name}/response", (200,) if expected else (200, 404)
        found = self.call("GET", path, name="/api/decisions/{id}/response", by=by, accepted=accepted)
        self.must(expected is None or found.json()["status"] == expected, f"{name} was {expected}")


def reason(answer: FastResponse) -> str:
    """Say what went wrong, the same for all to whom the same happened."""
    try:
        return f"{answer.status_code} {answer.json()['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code or answer.error} {(answer.text or '')[:100]}"


@events.quitting.add_listener
def _end(environment: Environment, **_: object) -> None:
    """Write down what came of it."""
    stats = environment.stats
    calls = [
        {
            "name": f"{entry.method} {entry.name}",
            "count": entry.num_requests,
            "milliseconds": [entry.get_response_time_percentile(share) for share in PERCENTILES],
            "longest": entry.max_response_time,
        }
        for entry in stats.entries.values()
    ]
    errors = [
        {"call": f"{error.method} {error.name}", "why": str(error.error), "times": error.occurrences}
        for error in stats.errors.values()
    ]
    outcome = {
        "submitted": submitted,
        "resolved": resolved,
        "rounds": [rounds[second] for second in range(min(rounds), max(rounds) + 1)] if rounds else [],
        "calls": calls,
        "errors": errors,
    }
    Path(PLAN["outcome"]).write_text(json.dumps(outcome), encoding="utf-8")


def item(name: str) -> dict[str, object]:
    return {**PLAN["item"], "analysis_id": name, "priority": PRIORITIES[len(name) % len(PRIORITIES)]}
