"""What a person asks of a journal, with or without a gateway: proof, copy, explanation.

`python -m risk_gateway.audit verify JOURNAL`; `stratops journal` and `stratops explain` call it.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from risk_gateway.archive import Archive
from risk_gateway.backup import TargetExists, back_up
from risk_gateway.explanation import UnknownSignal, explained
from risk_gateway.explanation_text import to_json, to_text
from risk_gateway.home import Home, JournalLocked, JournalUnusable, of
from risk_gateway.proof import NotProven
from risk_gateway.pruning import pruned
from risk_gateway.verification import Proven, verified
from stratops_wire.scalars import text_of
from trading.ledger import Ledger

_EXPECTED = (NotProven, UnknownSignal, JournalLocked, JournalUnusable, TargetExists, OSError)


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    try:
        sys.stdout.write(asked.answer(asked) + "\n")
    except _EXPECTED as error:
        sys.stderr.write(f"stratops: {asked.journal}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="risk_gateway.audit")
    commands = parser.add_subparsers(required=True)
    verify = commands.add_parser("verify")
    verify.add_argument("journal", type=of)
    verify.add_argument("--contains", default="")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(answer=_verify)
    backup = commands.add_parser("backup")
    backup.add_argument("journal", type=of)
    backup.add_argument("target", type=Path)
    backup.set_defaults(answer=_back_up)
    prune = commands.add_parser("prune")
    prune.add_argument("journal", type=of)
    prune.add_argument("--keep-days", type=_days, required=True)
    prune.set_defaults(answer=_prune)
    explain = commands.add_parser("explain")
    explain.add_argument("journal", type=of)
    explain.add_argument("order")
    explain.add_argument("--json", action="store_true")
    explain.set_defaults(answer=_explain)
    return parser


def file_of(home: Home) -> Home:
    """A folder stands for the journal in it."""
    return home / "journal.db" if isinstance(home, Path) and home.is_dir() else home


def _verify(asked: argparse.Namespace) -> str:
    proven = verified(file_of(asked.journal), asked.contains)
    return json.dumps(_document(proven), indent=2) if asked.json else _text(proven)


def _back_up(asked: argparse.Namespace) -> str:
    journal = file_of(asked.journal)
    if not isinstance(journal, Path):
        raise JournalUnusable(f"journal {journal}: a database's backup is pg_dump's to make")
    back_up(journal, asked.target)
    proven = verified(asked.target)
    return f"{asked.target}: records {proven.first} to {proven.last}, proven"


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of days, 1 or more")
    return int(text)


def _prune(asked: argparse.Namespace) -> str:
    home = file_of(asked.journal)
    if isinstance(home, Path) and not home.is_file():
        raise JournalUnusable(f"journal {home}: not there")
    done = pruned(home, asked.keep_days, time.time_ns())
    if not done.through:
        return f"nothing deleted: no seal is older than {asked.keep_days} days"
    proven = verified(home)
    return (
        f"deleted: {done.deleted} records up to {done.through}; {done.ids} ids are kept of them\n"
        f"proven: records {proven.first} to {proven.last}"
    )


def _explain(asked: argparse.Namespace) -> str:
    archive = Archive(file_of(asked.journal), one_moment=True)
    try:
        found = explained(archive, asked.order)
    finally:
        archive.close()
    return to_json(found) if asked.json else to_text(found)


def _document(proven: Proven) -> dict[str, object]:
    return {
        "journal": proven.journal,
        "first": proven.first,
        "last": proven.last,
        "head": proven.head,
        "seals": proven.seals,
        "orders": proven.orders,
        "strategies": {name: _books(ledger) for name, ledger in proven.ledgers.items()},
    }


def _books(ledger: Ledger) -> dict[str, object]:
    return {
        "positions": {each.symbol: text_of(each.quantity) for each in ledger.positions.values()},
        "realized_pnl": text_of(ledger.realized_pnl),
        "fees": text_of(ledger.fees),
        "cash": text_of(ledger.cash),
        **({"currencies": _currencies(ledger)} if ledger.currencies else {}),
    }


def _currencies(ledger: Ledger) -> dict[str, object]:
    """What was made in each; without a name, in the desk's."""
    return {
        currency: {"realized_pnl": text_of(made.realized), "fees": text_of(made.fees)}
        for currency, made in sorted(ledger.books(lambda _: None).items())
    }


def _text(proven: Proven) -> str:
    lines = [
        f"proven: records {proven.first} to {proven.last}, {proven.seals} seals, "
        f"{proven.orders} orders",
        f"head:   {proven.head}",
    ]
    for name, ledger in proven.ledgers.items():
        held = ", ".join(f"{each.symbol} {each.quantity}" for each in ledger.positions.values())
        made = ledger.books(lambda _: None).items() if ledger.currencies else ()
        others = (
            f"; in {currency}: realised {each.realized}, fees {each.fees}"
            for currency, each in sorted(made)
            if currency
        )
        money = f"realised {ledger.realized_pnl}, fees {ledger.fees}{''.join(others)}"
        lines.append(f"{name}: {held or 'nothing held'}; {money}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
