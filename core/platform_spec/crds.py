"""The custom resource definitions, made from the models.

What an object can know about itself stands here as CEL; what needs another object, or sees into
numbers that may be text, is in `platform_spec.admission`.
"""

from typing import Any

from platform_spec import policy, stored, strategy
from platform_spec.metadata import GROUP, VERSION
from platform_spec.resource import Resource
from platform_spec.schema import Extras, Rule, Schema, structural
from platform_spec.status import NOT_YET, STATUS, ConditionType

CATEGORY = GROUP.partition(".")[0]

_LIVE = "!has(self.mode) || self.mode != 'live'"
_LIVE_RULES = (
    Rule(f"{_LIVE} || has(self.capital)", "expected an amount, which mode live needs", ".capital"),
    Rule(
        f"{_LIVE} || (has(self.risk) && has(self.risk.policy))",
        "expected the name of a RiskPolicy, which mode live needs",
        ".risk",
    ),
    Rule(
        f"{_LIVE} || !has(self.image) || self.image.contains('@sha256:')",
        "expected an image with @sha256:, which mode live needs",
        ".image",
    ),
    Rule(
        f"{_LIVE} || !has(self.strategy.image) || self.strategy.image.contains('@sha256:')",
        "expected an image with @sha256:, which mode live needs",
        ".strategy.image",
    ),
)
_ACCOUNT_STAYS = Rule(
    "has(self.account) == has(oldSelf.account)"
    " && (!has(self.account) || self.account == oldSelf.account)",
    "expected as it was: an account stays with its strategy; make another strategy",
    ".account",
)
_NO_FILE = Rule(
    "!has(self.file)",
    "expected configMap or inline: a cluster has no files beside the manifest",
    ".file",
)
_NO_USER = Rule(
    "!self.url.contains('@')",
    "expected an address without user and password: secrets do not belong in manifests",
    ".url",
)
_NAMED = Rule(
    "self.metadata.name.size() <= 40"
    " && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    "metadata.name: expected lower-case letters, digits and '-' within; at most 40 characters",
)
_STAYS = Rule("self == oldSelf", "expected as it was: a revision never changes")
_EXTRAS = Extras(
    rules={
        "Spec": (*_LIVE_RULES, _ACCOUNT_STAYS),
        "Source": (_NO_FILE,),
        "RedisFeed": (_NO_USER,),
        "NatsFeed": (_NO_USER,),
        "RevisionSpec": (_STAYS,),
    },
    keys={"conditions": "type", "quarantined": "revision"},
)


def definitions() -> tuple[Schema, ...]:
    """One definition for each kind, in the order of their names."""
    return (
        _definition(
            "riskpolicies", "rp", policy.RiskPolicy, policy.KIND, _POLICY_COLUMNS
        ),
        _definition(
            "strategies", "strat", strategy.Strategy, strategy.KIND, _STRATEGY_COLUMNS,
            rules=[_NAMED.written()], status=_status(),
        ),
        _definition(
            "strategyrevisions", "stratrev", stored.StrategyRevision, stored.KIND, _REVISION_COLUMNS
        ),
    )  # fmt: skip


def _definition(
    plural: str,
    short: str,
    model: type[Resource],
    kind: str,
    columns: tuple[Schema, ...],
    *,
    rules: list[Schema] | None = None,
    status: Schema | None = None,
) -> Schema:
    whole = structural(model.model_json_schema(), _EXTRAS)
    parts = whole["properties"]
    parts = {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object"},
        "spec": parts["spec"],
    }
    version: Schema = {"name": VERSION, "served": True, "storage": True}
    if status is not None:
        parts["status"] = status
        version["subresources"] = {"status": {}}
    version["additionalPrinterColumns"] = list(columns)
    version["schema"] = {"openAPIV3Schema": _root(whole["description"], parts, rules)}
    names = {
        "kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(),
        "shortNames": [short], "categories": [CATEGORY],
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": CATEGORY},
        },
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


_TEXT: Schema = {"type": "string"}


def _root(description: str, parts: Schema, rules: list[Schema] | None) -> Schema:
    root = {"description": description, "type": "object", "required": ["spec"], "properties": parts}
    return root | ({"x-kubernetes-validations": rules} if rules else {})


def _status() -> Schema:
    """The only default of all: a strategy that nobody has seen is not ready, also for `--wait`."""
    unseen = {
        "type": ConditionType.READY.value,
        "status": "Unknown",
        "reason": "NotYetObserved",
        "message": "",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
    default = {"observedGeneration": NOT_YET, "conditions": [unseen]}
    return {**structural(STATUS.json_schema(), _EXTRAS), "default": default}


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> Schema:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": 1} if wide else {})


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_READY = '.status.conditions[?(@.type=="Ready")]'
_STRATEGY_COLUMNS = (
    _column("Ready", f"{_READY}.status"),
    _column("Phase", ".status.phase"),
    _column("Mode", ".status.mode"),
    _column("Revision", ".status.revision"),
    _column("Epoch", ".status.epoch", "integer"),
    _column("Position", ".status.trading.position"),
    _column("P&L", ".status.trading.realizedPnl"),
    _AGE,
    _column("Wanted", ".status.wantedRevision", wide=True),
    _column("Reason", f"{_READY}.message", wide=True),
)
_REVISION_COLUMNS = (
    _column("Strategy", ".spec.strategy"),
    _column("Revision", ".spec.revision"),
    _AGE,
    _column("Image", ".spec.image", wide=True),
)
_POLICY_COLUMNS = (
    _column("Live", ".spec.allowLive", "boolean"),
    _column("Halted", ".spec.halted", "boolean"),
    _column("Reason", ".spec.reason"),
    _AGE,
)
