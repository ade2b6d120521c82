"""An operator as kopf's tutorial has it: handlers of created and changed objects, a status patch.

Run by `benchmarks.operator`, for comparison.
"""

import os
from typing import Any

import kopf

GROUP = ("stratops.dev", "v1alpha1", "strategies")


@kopf.on.login()
def login(**kwargs: Any) -> Any:
    return kopf.login_with_kubeconfig(**kwargs)


@kopf.on.resume(*GROUP)
@kopf.on.create(*GROUP)
@kopf.on.update(*GROUP)
def told(patch: kopf.Patch, **_: Any) -> None:
    patch.status["phase"] = "Deployed"


if __name__ == "__main__":
    kopf.run(standalone=True, namespaces=[os.environ["BENCH_NAMESPACE"]])
