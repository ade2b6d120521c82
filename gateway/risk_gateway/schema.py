"""The tables of the journal, and how a journal of an older version becomes one of this.

Version 2 chains the records (`chain`) and seals them (`seals`): a seal is the desk as it was after
a record, so that a start, or a proof, may begin there.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from risk_gateway import chain
from risk_gateway.home import JournalUnusable

SCHEMA_VERSION = 2
COLUMNS = (
    "number", "kind", "strategy", "key", "outcome", "at_ns", "body", "order_id", "order_state",
)  # fmt: skip
LOG_INDEXES = (
    "CREATE UNIQUE INDEX IF NOT EXISTS log_key ON log (kind, key) WHERE key IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS log_outcome ON log (strategy, outcome)"
    " WHERE outcome IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS log_order ON log (order_id) WHERE order_id IS NOT NULL",
    # What has no key is rare: grants, deployments.
    "CREATE INDEX IF NOT EXISTS log_rare ON log (kind, strategy, number) WHERE key IS NULL",
)
ON_KNOWN_ORDER = (
    " ON CONFLICT (client_order_id) DO UPDATE SET state = excluded.state,"
    " filled_quantity = excluded.filled_quantity, filled_notional = excluded.filled_notional,"
    " fee = excluded.fee"
)
_TABLES = (
    """CREATE TABLE IF NOT EXISTS log (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    strategy TEXT NOT NULL,
    key TEXT,                -- what must not be journalled twice: a signal id, a fill id
    outcome INTEGER,         -- number of the strategy's outcome that this record is
    at_ns INTEGER NOT NULL,
    body TEXT NOT NULL,      -- JSON
    order_id TEXT,           -- the order whose row this record wrote
    order_state TEXT,        -- and how it stood then
    hash BLOB NOT NULL       -- of all this, and of the hash before
)""",
    *LOG_INDEXES,
    """CREATE TABLE IF NOT EXISTS orders (
    client_order_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL, -- of the log record that made it
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    filled_quantity TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    fee TEXT NOT NULL
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS orders_number ON orders (number)",
    """CREATE TABLE IF NOT EXISTS head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    journal TEXT NOT NULL,   -- its id: what the chain begins with
    number INTEGER NOT NULL, -- of the last record; 0: none yet
    hash BLOB NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS seals (
    number INTEGER PRIMARY KEY, -- of the last record that the snapshot knows
    hash BLOB NOT NULL,         -- that record's
    snapshot TEXT NOT NULL      -- JSON
)""",
)
_ADD = f"INSERT INTO log VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608  # marks only


def opened(path: Path) -> sqlite3.Connection:
    """For writing; made, or brought to this version. Raises JournalUnusable."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    try:
        version = _known_version(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Pages. A page of an index that many commits write to is copied back once for them all.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        if version != SCHEMA_VERSION:
            _bring_up(connection, version)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise JournalUnusable(f"journal {path}: {error}") from error
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """For reading. Raises JournalUnusable."""
    try:
        version = _version(connection)
    except sqlite3.DatabaseError as error:
        raise JournalUnusable(f"journal {path}: {error}") from error
    if version != SCHEMA_VERSION:
        raise JournalUnusable(f"journal {path}: version {version}, expected {SCHEMA_VERSION}")


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    """In one transaction: a kill leaves the journal as it was, or as it shall be."""
    connection.execute("BEGIN EXCLUSIVE")
    if version == 1:
        for statement in _SET_ASIDE:
            connection.execute(statement)
    for statement in _TABLES:
        connection.execute(statement)
    journal_id = str(uuid.uuid4())
    first = (1, journal_id, 0, chain.genesis(journal_id))
    connection.execute("INSERT INTO head VALUES (?, ?, ?, ?)", first)
    if version == 1:
        _chain_version_1(connection, chain.genesis(journal_id))
        connection.execute("DROP TABLE log_1")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _known_version(connection: sqlite3.Connection, path: Path) -> int:
    version = _version(connection)
    if version not in (0, 1, SCHEMA_VERSION):
        connection.close()
        raise JournalUnusable(f"journal {path}: version {version}, expected {SCHEMA_VERSION}")
    return version


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


# ---- from version 1, which had no chain

_SET_ASIDE = ("DROP INDEX log_key", "DROP INDEX log_outcome", "ALTER TABLE log RENAME TO log_1")


def _chain_version_1(connection: sqlite3.Connection, hash_: bytes) -> None:
    states = dict(connection.execute("SELECT client_order_id, state FROM orders"))
    number = 0
    for columns in _read_version_1(connection, states):
        hash_ = chain.link(hash_, columns)
        connection.execute(_ADD, (*columns, hash_))
        number = columns[0]
    connection.execute("UPDATE head SET number = ?, hash = ?", (number, hash_))


def _read_version_1(
    connection: sqlite3.Connection, states: Mapping[str, str]
) -> Iterator[tuple[Any, ...]]:
    """As of version 2. Which order a record wrote was not in a column of its own."""
    query = "SELECT number, kind, strategy, key, outcome, at_ns, body FROM log_1 ORDER BY number"
    for columns in connection.execute(query):
        body = msgspec.json.decode(columns[6])
        order_id, state = _order_of(columns[1], body)
        known = order_id in states
        # How it stood at each fill was not kept: what it came to is what is known.
        yield (
            *columns,
            order_id if known else None,
            (state or states[order_id]) if known else None,
        )


def _order_of(kind: str, body: Any) -> tuple[str, str]:
    if kind == "decided" and body["order"] is not None:
        return body["order"]["client_order_id"], body["order"]["state"]
    if kind == "ended":
        return body["client_order_id"], body["state"]
    if kind == "fill":
        return body["client_order_id"], ""
    return "", ""
