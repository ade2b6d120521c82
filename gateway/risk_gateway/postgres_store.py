"""A journal in PostgreSQL: replicas share it, and one of them leads.

Who leads is a row: its generation grows with each leader, and each transaction says first that its
writer's still stands. So a leader that was taken for dead and lives on writes nothing any more, and
what it has not written it has told nobody. Times are the database's own.
"""

import os
import socket
import uuid
from collections.abc import Iterable
from typing import Any

import psycopg
import structlog

from risk_gateway import chain, schema
from risk_gateway.home import Columns, JournalLocked, JournalUnusable, Postgres

log = structlog.get_logger()

_FENCED = "ST001"  # the SQLSTATE of our own that `still_leads` raises
_ADVISORY = 5_786_421  # one at a time makes the tables
_CONNECT_S = 5
_TABLES = (
    """CREATE TABLE log (
    number bigint PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    strategy text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    outcome bigint,
    at_ns bigint NOT NULL,
    body text NOT NULL,
    order_id text COLLATE "C",
    order_state text,
    hash bytea NOT NULL
)""",
    *schema.LOG_INDEXES,
    """CREATE TABLE orders (
    client_order_id text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL,
    strategy text COLLATE "C" NOT NULL,
    state text NOT NULL,
    filled_quantity text NOT NULL,
    filled_notional text NOT NULL,
    fee text NOT NULL
)""",
    "CREATE INDEX orders_number ON orders (number)",
    """CREATE TABLE head (
    one int PRIMARY KEY CHECK (one = 1), journal text NOT NULL,
    number bigint NOT NULL, hash bytea NOT NULL
)""",
    "CREATE TABLE seals (number bigint PRIMARY KEY, hash bytea NOT NULL, snapshot text NOT NULL)",
    """CREATE TABLE leader (
    one int PRIMARY KEY CHECK (one = 1), version int NOT NULL, generation bigint NOT NULL,
    holder text NOT NULL, seen timestamptz NOT NULL, released bool NOT NULL
) WITH (fillfactor = 10)""",
    f"""CREATE FUNCTION still_leads(mine bigint) RETURNS void AS $$ BEGIN
    UPDATE leader SET seen = clock_timestamp() WHERE generation = mine AND NOT released;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another gateway leads' USING ERRCODE = '{_FENCED}';
    END IF;
END $$ LANGUAGE plpgsql""",  # noqa: S608  # constants
)
# In a database of before: it tells where callers reach whoever leads.
_HAS_NO_ADDRESS = """SELECT NOT EXISTS (SELECT FROM pg_attribute
WHERE attrelid = 'leader'::regclass AND attname = 'address')"""
_TAKE = """UPDATE leader
SET generation = generation + 1, holder = %s, address = %s, seen = clock_timestamp(),
    released = false
WHERE released OR seen < clock_timestamp() - make_interval(secs => %s)
RETURNING generation"""
_WHO = """SELECT holder, CASE WHEN released THEN '' ELSE address END,
extract(epoch FROM clock_timestamp() - seen)::float8 FROM leader"""
_BUT_A_MOMENT = "SET LOCAL lock_timeout = 500"  # ms: who stands by is asked for meanwhile
_LET_GO_AFTER = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"
_RELEASE = "UPDATE leader SET released = true WHERE generation = %s"


def _rows_of(table: str, types: str) -> str:
    """One statement for any number of rows: an array a column."""
    arrays = ", ".join(f"%s::{type_}[]" for type_ in types.split())
    return f"INSERT INTO {table} SELECT * FROM unnest({arrays})"  # noqa: S608  # constants


_INSERT_LOG = _rows_of("log", "bigint text text text bigint bigint text text text bytea")
_UPSERT_ORDERS = _rows_of("orders", "text bigint text text text text text") + schema.ON_KNOWN_ORDER
_INSERT_SEALS = _rows_of("seals", "bigint bytea text")


class PostgresWriter:
    """Leads from its making on, until `close` or until it is replaced."""

    def __init__(self, home: Postgres) -> None:
        """Raises JournalLocked, JournalUnusable."""
        self.beat_s = home.patience_s / 4
        self.patience_s = home.patience_s
        self._home = home
        self._connection = _connected(home)
        try:
            # Stopped in the middle of a commit it would keep its rows locked: nobody could lead.
            milliseconds = str(int(home.patience_s * 1_000))
            self._connection.execute(_LET_GO_AFTER, (milliseconds,))
            _make_tables(self._connection, home)
            self.generation = self._taken()
        except psycopg.Error as error:
            self._connection.close()
            raise JournalUnusable(f"journal {home}: {_line(error)}") from error
        except (JournalLocked, JournalUnusable):
            self._connection.close()
            raise

    def head(self) -> tuple[int, bytes]:
        found = self._connection.execute("SELECT number, hash FROM head").fetchone()
        assert found is not None
        return found[0], found[1]

    def write(self, log: Columns, orders: Columns, seals: Columns) -> None:
        with self._leading() as connection:
            connection.execute(_INSERT_LOG, _arrays(log))
            if orders:
                connection.execute(_UPSERT_ORDERS, _arrays(orders))
            if seals:
                connection.execute(_INSERT_SEALS, _arrays(seals))
            last = (log[-1][0], log[-1][-1])
            connection.execute("UPDATE head SET number = %s, hash = %s", last)

    def rewrite(self, changes: Iterable[tuple[str, Columns]]) -> None:
        with self._connection.transaction():
            self._connection.execute("SELECT still_leads(%s::bigint)", (self.generation,))
            cursor = self._connection.cursor()
            for statement, rows in changes:
                cursor.executemany(statement.replace("?", "%s"), rows)

    def beat(self) -> None:
        with self._leading():
            pass

    def close(self) -> None:
        """Whoever waits may lead at once."""
        try:
            if not self._connection.broken:
                self._connection.rollback()
                self._connection.execute(_RELEASE, (self.generation,))
        except psycopg.Error as error:
            log.warning("leadership_not_released", error=_line(error))
        finally:
            self._connection.close()

    def _leading(self) -> "_Transaction":
        return _Transaction(self._connection, self.generation)

    def _taken(self) -> int:
        holder = f"{socket.gethostname()} ({os.getpid()})"
        patience_s = self._home.patience_s
        values = (holder, self._home.address, patience_s)
        try:
            with self._connection.transaction():
                self._connection.execute(_BUT_A_MOMENT)
                found = self._connection.execute(_TAKE, values).fetchone()
        except psycopg.errors.LockNotAvailable:
            found = None  # whoever leads is in the middle of a commit
        if found is not None:
            return int(found[0])
        found = self._connection.execute(_WHO).fetchone()
        assert found is not None
        who, address, silent_s = found
        raise JournalLocked(
            f"journal {self._home}: {who} leads, heard from {silent_s:.1f} s ago; it is replaced "
            f"after {patience_s:g} s of silence",
            address if silent_s < patience_s / 2 else "",
        )


class _Transaction:
    """In one round trip, the commit included; the first statement is whether it still leads."""

    def __init__(self, connection: "psycopg.Connection[Any]", generation: int) -> None:
        self._connection = connection
        self._generation = generation
        self._pipeline = connection.pipeline()

    def __enter__(self) -> "psycopg.Connection[Any]":
        self._pipeline.__enter__()
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT still_leads(%s::bigint)", (self._generation,))
        return self._connection

    def __exit__(self, *raised: Any) -> None:
        if raised[0] is None:
            self._connection.execute("COMMIT")
        self._pipeline.__exit__(*raised)


class PostgresReader:
    def __init__(self, home: Postgres, *, one_moment: bool = False) -> None:
        """Raises JournalUnusable."""
        self._home = home
        self._connection = _connected(home)
        self._connection.execute("SET default_transaction_read_only = on")
        if one_moment:
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def execute(self, query: str, values: Any = ()) -> "psycopg.Cursor[Any]":
        """Raises JournalUnusable."""
        try:
            return self._connection.execute(query.replace("?", "%s"), tuple(values))
        except psycopg.Error as error:
            raise JournalUnusable(f"journal {self._home}: {_line(error)}") from error

    def close(self) -> None:
        self._connection.close()


def _connected(home: Postgres) -> "psycopg.Connection[Any]":
    try:
        return psycopg.connect(
            home.url,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name="stratops-gateway",
            # A host that has gone says nothing: found out while there is patience left, also by
            # who only waits for its answer.
            tcp_user_timeout=int(home.patience_s * 1_000),
            keepalives_idle=1,
            keepalives_interval=1,
        )
    except psycopg.Error as error:
        raise JournalUnusable(f"journal {home}: {_line(error)}") from error


def _make_tables(connection: "psycopg.Connection[Any]", home: Postgres) -> None:
    """Where there are none. Raises JournalUnusable."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY,))
        there = connection.execute("SELECT to_regclass('leader') IS NOT NULL").fetchone()
        if there != (True,):
            for statement in _TABLES:
                connection.execute(statement)
            journal_id = str(uuid.uuid4())
            first = (journal_id, chain.genesis(journal_id))
            connection.execute("INSERT INTO head VALUES (1, %s, 0, %s)", first)
            connection.execute(
                "INSERT INTO leader VALUES (1, %s, 0, '', clock_timestamp(), true)",
                (schema.SCHEMA_VERSION,),
            )
        if connection.execute(_HAS_NO_ADDRESS).fetchone() == (True,):
            connection.execute("ALTER TABLE leader ADD COLUMN address text NOT NULL DEFAULT ''")
    for (version,) in connection.execute("SELECT version FROM leader"):
        if version != schema.SCHEMA_VERSION:
            expected = f"expected {schema.SCHEMA_VERSION}"
            raise JournalUnusable(f"journal {home}: version {version}, {expected}")


def _arrays(rows: Columns) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
