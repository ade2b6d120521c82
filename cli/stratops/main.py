"""The command `stratops`. What a command needs is imported when it runs: `--help` stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from stratops import dev, journal

app = typer.Typer(
    name="stratops",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run trading strategies: one manifest, one risk gateway, reloads that lose nothing.",
)

app.add_typer(dev.app, name="dev")
app.add_typer(journal.app, name="journal")

State = Annotated[Path, typer.Option("--state", help="Folder of the desk.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the gateway's journal.")]
Gateway = Annotated[
    str,
    typer.Option("--gateway", envvar="STRATOPS_GATEWAY", help="HOST:PORT; else that of --state."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", envvar="STRATOPS_TOKEN_FILE", help="Your token; else as who started it."
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", envvar="STRATOPS_CA_FILE", help="PEM the gateway is checked by."),
]
OfStrategy = Annotated[str, typer.Option("--strategy", help="Of this strategy only.")]
OfSymbol = Annotated[str, typer.Option("--symbol", help="Of this symbol only.")]
OfAccount = Annotated[str, typer.Option("--account", help="Of this account only.")]
STATE = Path(".stratops")
HERE = Path()


@app.command()
def up(
    manifest: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", help="Manifest; more than one may be given.", exists=True),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Market data file to replay, gzip or not.", exists=True),
    ] = None,
    feed: Annotated[str, typer.Option("--feed", help="Live feed instead: redis://HOST:PORT.")] = "",
    speed: Annotated[str, typer.Option(help="Of the replay: 1, 10, any number, or max.")] = "1",
    fill: Annotated[str, typer.Option(help="Paper fills: next-tick or touch.")] = "next-tick",
    fill_sizes: Annotated[
        bool, typer.Option("--fill-sizes/--no-fill-sizes", help="Fill no more than is quoted.")
    ] = True,
    for_: Annotated[
        str, typer.Option("--for", help="End after this time: 20s, 5m, 1h. Else at Ctrl-C.")
    ] = "",
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End with the replay, as -o json does.")
    ] = False,
    state: State = STATE,
    output: Annotated[
        str, typer.Option("-o", "--output", help="json: one document at the end.")
    ] = "",
    no_color: Annotated[bool, typer.Option("--no-color", help="As NO_COLOR does.")] = False,
    session: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Start a desk: servers, venue, gateway, a runner for each strategy, and a feed.

    Save a manifest while it runs and the desk rolls over to the new revision. Ctrl-C ends it.
    """
    from stratops.options import InvalidOption, options

    try:
        chosen = options(
            manifests=manifest or [],
            data=data or [],
            feed=feed,
            speed=speed,
            fill=fill,
            fill_sizes=fill_sizes,
            duration=for_,
            until_end=until_end,
            state=state,
            output=output,
            color=not no_color,
            session=session,
        )
    except InvalidOption as error:
        raise typer.BadParameter(str(error)) from error
    from stratops import up as desk

    raise typer.Exit(desk.up(chosen))


@app.command()
def check(
    manifests: Annotated[list[Path], typer.Argument(help="Manifest files.")],
    output: Annotated[
        str, typer.Option("-o", "--output", help="How to print the result: text or json.")
    ] = "text",
) -> None:
    """Check manifests, their strategies' code and parameters, without running them."""
    from stratops.check import Output, check_command

    if output not in set(Output):
        raise typer.BadParameter(f"-o: {output!r}, expected text or json")
    check_command(manifests, Output(output))


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the strategy and of its folder.")],
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the folder is made.", file_okay=False)
    ] = HERE,
) -> None:
    """Make a folder with a strategy, its test and its manifest, which run at once."""
    from stratops.init import init_command

    init_command(name, directory)


@app.command()
def halt(
    reason: Why,
    strategy: OfStrategy = "",
    symbol: OfSymbol = "",
    account: OfAccount = "",
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Let what only closes leave all the same.")
    ] = False,
    state: State = STATE,
    gateway: Gateway = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Stop all orders of the running desk, or of one part, until `resume`; survives restarts."""
    from stratops.asker import Asker
    from stratops.operate import halt as ask

    asker = Asker(state, gateway, token_file, ca_file)
    raise typer.Exit(ask(asker, reason, _scope(strategy, symbol, account), reducing=reducing))


@app.command()
def resume(
    reason: Why = "",
    strategy: OfStrategy = "",
    symbol: OfSymbol = "",
    account: OfAccount = "",
    source: Annotated[
        str, typer.Option("--source", help="Take back what a breach did: breach; operator.")
    ] = "",
    state: State = STATE,
    gateway: Gateway = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Let orders leave again: takes back what `halt`, or a breach, set of the same part."""
    from stratops.asker import Asker
    from stratops.operate import resume as ask

    asker = Asker(state, gateway, token_file, ca_file)
    raise typer.Exit(ask(asker, reason, _scope(strategy, symbol, account), source))


def _scope(strategy: str, symbol: str, account: str) -> dict[str, str]:
    named = {"strategy": strategy, "symbol": symbol, "account": account}
    scope = {level: name for level, name in named.items() if name}
    if len(scope) > 1:
        raise typer.BadParameter("expected at most one of --strategy, --symbol and --account")
    return scope


@app.command()
def cancel(
    strategy: Annotated[str, typer.Option("--strategy", help="Of this one.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Of every strategy.")] = False,
    reason: Why = "",
    state: State = STATE,
    gateway: Gateway = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Cancel the orders that the running desk has at work; a halt does not stop it."""
    from stratops.asker import Asker
    from stratops.operate import cancel as ask

    if bool(strategy) == everything:
        raise typer.BadParameter("expected --strategy NAME or --all")
    raise typer.Exit(ask(Asker(state, gateway, token_file, ca_file), strategy, reason))


@app.command()
def status(
    state: State = STATE,
    output: Annotated[str, typer.Option("-o", "--output", help="json, else a screen.")] = "",
    gateway: Gateway = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Show the running desk once."""
    from stratops.asker import Asker
    from stratops.operate import status as ask

    if output not in ("", "json"):
        raise typer.BadParameter(f"-o: {output!r}, expected json")
    raise typer.Exit(ask(Asker(state, gateway, token_file, ca_file), as_json=output == "json"))


@app.command()
def explain(
    order: Annotated[str, typer.Argument(help="Client order id, or signal id.")],
    where: Annotated[
        Path, typer.Option("--journal", help="journal.db, its folder, or the folder of a desk.")
    ] = STATE,
    as_json: Annotated[bool, typer.Option("--json", help="A document, for programs.")] = False,
) -> None:
    """Tell all that an order, or a refusal, came from and what came of it; from the journal."""
    journal.audit("explain", where, order, as_json=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("stratops"))
