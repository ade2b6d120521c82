"""`stratops dev`: what developers of strategies and of StratOps itself need."""

from typing import Annotated

import typer

app = typer.Typer(help="For developers: a Kubernetes cluster on this machine.")
cluster = typer.Typer(
    no_args_is_help=True,
    help="One-node Kubernetes on this machine: Linux and root, no Docker.",
)
app.add_typer(cluster, name="cluster")


@app.callback()
def dev() -> None:
    """For developers: a Kubernetes cluster on this machine."""


@cluster.command()
def up() -> None:
    """Start the cluster; the first time its programs are built, which takes some minutes."""
    from dev_cluster import developer

    raise typer.Exit(developer.up())


@cluster.command()
def down() -> None:
    """End the cluster with all that is in it."""
    from dev_cluster import developer

    raise typer.Exit(developer.down())


@cluster.command()
def status(
    output: Annotated[str, typer.Option("-o", "--output", help="json, else text.")] = "",
) -> None:
    """Show whether the cluster runs, where it is and which images it has."""
    from dev_cluster import developer

    if output not in ("", "json"):
        raise typer.BadParameter(f"-o: {output!r}, expected json")
    raise typer.Exit(developer.status(as_json=output == "json"))


@cluster.command()
def load(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Archive files, or names in buildah's store."),
    ],
) -> None:
    """Make images known to the cluster, which has no registry to pull from."""
    from dev_cluster import developer

    raise typer.Exit(developer.load(images))


@cluster.command()
def images() -> None:
    """Build the images of this checkout, load them, and print how to install a desk of them."""
    from dev_cluster import developer

    raise typer.Exit(developer.images())
