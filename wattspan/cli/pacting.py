"""What the commands of PACT do, apart from the terminal: loaded when one of them runs."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from wattspan.config import ConfigError
from wattspan.disclosure.book import Book
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.pact.clients import Client, ClientError, Clients, Credentials
from wattspan.disclosure.pact.departures import Departures
from wattspan.disclosure.pact.grammar import written_time
from wattspan.disclosure.pact.rules import faults, set_faults
from wattspan.disclosure.pact.settings import PactConfig, load_pact_config
from wattspan.disclosure.pact.state import State, StateError

FAULTS: Final = (ClientError, ConfigError, LedgerError, StateError)
"""What a user can cause and mend: told, not traced."""
_Answer = TypeVar("_Answer")


def config_of(path: Path | None) -> PactConfig:
    """Raises ConfigError."""
    return load_pact_config(path, os.environ)


def found_faults(name: str, footprints: Sequence[Any]) -> list[str]:
    """What is wrong with footprints of one file, a line each."""
    lines = []
    for index, footprint in enumerate(footprints):
        where = name if len(footprints) == 1 else f"{name}, footprint {index}"
        lines += [f"{where}: {fault.field or 'it'} {fault.why}" for fault in faults(footprint)]
    if all(isinstance(footprint, dict) and "id" in footprint for footprint in footprints):
        lines += [f"{name}: {fault.field} {fault.why}" for fault in set_faults(footprints)]
    return lines


def add(path: Path | None, name: str, features: Sequence[str]) -> Credentials:
    """Let a client in. Raises ConfigError, StateError, ClientError."""
    return _asked(path, lambda known: known.add(name, features, dt.datetime.now(dt.UTC)))


def never_seen(path: Path | None, features: Sequence[str]) -> list[str]:
    """Those of `features` that are neither configured nor published. Raises ConfigError, LedgerError."""
    config = config_of(path)
    published = {
        one.id.split("/")[-1].partition("@")[0] for one in Book(config.disclosure.folder).published()
    }
    return [feature for feature in features if feature not in published | set(config.disclosure.features)]


def renew(path: Path | None, name: str) -> Credentials:
    """Another secret. Raises ConfigError, StateError, ClientError."""
    return _asked(path, lambda known: known.renew(name))


def remove(path: Path | None, name: str) -> Client:
    """Shut a client out. Raises ConfigError, StateError, ClientError."""
    return _asked(path, lambda known: known.remove(name))


def clients(path: Path | None) -> list[Client]:
    """By name. Raises ConfigError, StateError."""
    return _asked(path, lambda known: known.all())


def events(path: Path | None) -> dict[str, list[dict[str, Any]]]:
    """Those that came, and those that go. Raises ConfigError, StateError."""
    config = config_of(path)
    with _opened(config) as state:
        names = {client.id: client.name for client in Clients(state).all()}
        arrived = state.rows("SELECT client, type, event, arrived_at FROM arrivals ORDER BY rowid")
        departures = Departures(state, config.pact.retry).all()
    return {
        "arrivals": [{**dict(row), "client": names.get(row["client"], row["client"])} for row in arrived],
        "departures": [
            {
                "recipient": departure.recipient,
                "type": departure.type,
                "state": departure.state,
                "tries": departure.tries,
                "last_error": departure.last_error,
                "created_at": _utc(departure.created_at),
                "next_at": _utc(departure.next_at) if departure.state == "waiting" else None,
            }
            for departure in departures
        ],
    }


def _asked(path: Path | None, ask: Callable[[Clients], _Answer]) -> _Answer:
    with _opened(config_of(path)) as state:
        return ask(Clients(state))


@contextmanager
def _opened(config: PactConfig) -> Iterator[State]:
    state = State(config.pact.state)
    try:
        yield state
    finally:
        state.close()


def _utc(moment: float) -> str:
    return written_time(dt.datetime.fromtimestamp(moment, dt.UTC))
