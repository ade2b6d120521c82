"""Makes a volume for each claim of the storage class `test-local`, and removes those left behind.

    python -m dev_cluster.volumes CLUSTER_FOLDER

Volumes are folders of the node, of kind `local`: unlike `hostPath` they obey a pod's fsGroup.
"""

import http.client
import json
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dev_cluster.api import Api, ApiError

STORAGE_CLASS = "test-local"
POLL_S = 1.0
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"

Object = dict[str, Any]


def storage_class() -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "stratops.dev/test-local",
        "volumeBindingMode": "Immediate",
        "reclaimPolicy": "Retain",
    }


def wanted(claims: Iterable[Object], volumes: Iterable[Object]) -> list[Object]:
    """The claims of our class that wait for a volume."""
    names = {volume["metadata"]["name"] for volume in volumes}
    return [
        claim
        for claim in claims
        if claim["spec"].get("storageClassName") == STORAGE_CLASS
        and not claim["spec"].get("volumeName")
        and volume_name(claim) not in names
    ]


def released(volumes: Iterable[Object]) -> list[str]:
    """The volumes of our class whose claims are gone."""
    return [
        volume["metadata"]["name"]
        for volume in volumes
        if volume["spec"].get("storageClassName") == STORAGE_CLASS
        and volume.get("status", {}).get("phase") == "Released"
    ]


def volume_name(claim: Object) -> str:
    """By the claim's uid: a claim that is made again gets an empty volume."""
    return f"local-{claim['metadata']['uid']}"


def volume(claim: Object, folder: Path, node: str) -> Object:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim)},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [_only_on(node)]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def _only_on(node: str) -> Object:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {"matchExpressions": [here]}


def main(folder: Path) -> None:
    facts = json.loads((folder / "cluster.json").read_text())
    api = Api(facts["api"], folder / "pki", "volumes")
    while True:
        try:
            provide(api, folder / "data" / "volumes", facts["node"])
        except (OSError, http.client.HTTPException, ApiError) as error:
            sys.stderr.write(f"{error}\n")  # tried again: the API server may be restarting
        time.sleep(POLL_S)


def provide(api: Api, folder: Path, node: str) -> None:
    """One round. A list from the API server's cache (version 0) costs it next to nothing."""
    claims = api.get(_CLAIMS, resourceVersion="0")["items"]
    volumes = api.get(_VOLUMES, resourceVersion="0")["items"]
    for claim in wanted(claims, volumes):
        place = folder / volume_name(claim)
        place.mkdir(parents=True, exist_ok=True)
        try:
            api.post(_VOLUMES, volume(claim, place, node))
        except ApiError as error:
            if error.status != http.HTTPStatus.CONFLICT:  # the cache had not seen it yet
                raise
    for name in released(volumes):
        api.delete(f"{_VOLUMES}/{name}")
        shutil.rmtree(folder / name, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
