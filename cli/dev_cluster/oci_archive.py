"""Several images in one archive of the OCI layout: what they share is in it once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dev_cluster.image_tools import run

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def pack(
    names: Mapping[str, Callable[[Path], None]], archive: Path, folder: Path, log: Path
) -> None:
    """Each callable writes manifest.json and blobs, named by their SHA-256, into a folder."""
    layout = folder / "layout"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifests = []
    for number, (name, write) in enumerate(names.items()):
        written = folder / str(number)
        write(written)
        manifests.append(_take(written, blobs, name))
    index = {"schemaVersion": 2, "manifests": manifests}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    run("tar", "-C", layout, "--sort=name", "-cf", archive, ".", log=log)


def _take(written: Path, blobs: Path, name: str) -> dict[str, Any]:
    """Moves an image's files to the blobs; how the index names it."""
    manifest = json.loads((written / "manifest.json").read_text())
    content = json.dumps({"mediaType": _MANIFEST, **manifest}).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    for part in (manifest["config"], *manifest["layers"]):
        hexadecimal = part["digest"].removeprefix("sha256:")
        (written / hexadecimal).replace(blobs / hexadecimal)
    named = {"org.opencontainers.image.ref.name": name}
    size = len(content)
    return {
        "mediaType": _MANIFEST,
        "digest": f"sha256:{digest}",
        "size": size,
        "annotations": named,
    }
