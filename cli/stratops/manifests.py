"""From manifest files to checked strategies, ready for `stratops up`.

`read(paths)` answers `Checked(strategies, problems, warnings, elsewhere)`; with problems nothing of
it should be put to work. A `CheckedStrategy` knows `ref` (`<name>`, with a namespace
`<namespace>/<name>`), `model`, `revision` (ten hex digits), `state_key`, `code_digest`,
`suspended`, `files` (what to watch: the manifest and its source file), and makes the two JSON
documents of `platform_spec.revision`: `content` for the gateway, `runner_spec(redis_url)` for a
runner.

A `file` source is read once, here, and travels as `inline`: a runner that is restarted later runs
the code of its revision, whatever the file has become. The feed is the desk's own: `spec.feed`
names a cluster's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from platform_spec import revision as revisions
from platform_spec.code import Code
from platform_spec.documents import LARGEST
from platform_spec.manifest import Manifest, Written, WrittenPolicy, parse
from platform_spec.policy import RiskPolicy, excesses
from platform_spec.problems import InvalidManifest, Problem, nearest, shown
from platform_spec.strategy import (
    DEFAULT_CHANNEL,
    PositionPolicy,
    Rollout,
    RolloutType,
    Strategy,
    Supersede,
    WorkingOrders,
)
from stratops.inspection import Finding, inspect
from stratops.sources import ConfigMaps, Elsewhere, Located, locate, read_at_most


@dataclass(frozen=True, slots=True)
class CheckedStrategy:
    """A strategy that was found to be right, with its code as it was then."""

    model: Strategy
    code_digest: str
    source: Mapping[str, str]
    files: tuple[Path, ...]
    manifest_dir: Path

    @property
    def ref(self) -> str:
        return self.model.ref

    @property
    def revision(self) -> str:
        return revisions.revision_name(self.model.spec, self.code_digest)

    @property
    def state_key(self) -> str:
        return revisions.state_key(self.model.spec, self.code_digest)

    @property
    def suspended(self) -> bool:
        return bool(self.model.spec.suspend)

    @property
    def content(self) -> bytes:
        """What the gateway is told of the revision."""
        return self._revised().content.encode()

    def runner_spec(self, redis_url: str) -> bytes:
        """What a runner is told, that takes its data from this Redis."""
        return self._revised(redis_url).runner.encode()

    def _revised(self, redis_url: str = "") -> revisions.Revision:
        code = Code(self.code_digest, self.source)
        folder = str(self.manifest_dir)
        spec = self.model.spec
        return revisions.revise(self.ref, spec, code, redis_url=redis_url, manifest_dir=folder)


@dataclass(frozen=True, slots=True)
class Checked:
    """What manifests say: all that is right, and all that is wrong."""

    strategies: tuple[CheckedStrategy, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()  # nothing is wrong, but perhaps not as meant
    elsewhere: tuple[Strategy, ...] = ()  # right as far as one can see, but not for this machine
    policies: tuple[RiskPolicy, ...] = ()


def read(
    paths: Sequence[Path], *, here: bool = True, instruments: Collection[str] | None = None
) -> Checked:
    """Reads and checks manifests. With `here`, what only a cluster can run is a problem; with
    `instruments`, so is a symbol that is none of them."""
    problems: list[Problem] = []
    manifests: list[tuple[Path, Manifest]] = []
    for path in paths:
        try:
            manifests.append((path, parse(_bytes(path), str(path))))
        except InvalidManifest as invalid:
            problems += invalid.problems
    config_maps = {ref: data for _, each in manifests for ref, data in each.config_maps.items()}
    written = [(path, each) for path, manifest in manifests for each in manifest.strategies]
    problems += _in_two_files(each for _, each in written)
    policies = [each for _, manifest in manifests for each in manifest.policies]
    problems += [p for _, each in written for p in _beyond_its_policy(each, policies)]
    if here:
        problems += [_halted(each) for each in policies if each.policy.spec.halted]
    problems += [p for _, each in written for p in _unread_feed(each)]
    if instruments is not None:
        problems += [p for _, each in written for p in _unlisted(each, instruments)]
    checked = [_check(each, path, config_maps, here=here) for path, each in written]
    return replace(_joined(problems, checked), policies=tuple(each.policy for each in policies))


def _beyond_its_policy(written: Written, policies: Iterable[WrittenPolicy]) -> Iterable[Problem]:
    """Against the policy that it names, when that is in these files."""
    strategy = written.strategy
    name = strategy.spec.risk.policy if strategy.spec.risk else None
    for each in policies:
        metadata = each.policy.metadata
        if (metadata.namespace, metadata.name) == (strategy.metadata.namespace, name):
            for excess in excesses(strategy.spec, each.policy):
                yield written.problem(excess.path, excess.value, excess.expected)


def _halted(written: WrittenPolicy) -> Problem:
    reason = f" ({written.policy.spec.reason})" if written.policy.spec.reason else ""
    expected = "false: a halted desk does not start; `stratops halt` halts one that runs"
    return written.problem(("spec", "halted"), f"true{reason}", expected)


def _unread_feed(written: Written) -> Iterable[Problem]:
    """No runner reads from NATS yet, here or on a cluster."""
    feed = written.strategy.spec.feed
    if feed is not None and feed.nats is not None:
        expected = "spec.feed.redis, or nothing for the desk's own"
        yield written.problem(("spec", "feed", "nats", "url"), shown(feed.nats.url), expected)


def _unlisted(written: Written, instruments: Collection[str]) -> Iterable[Problem]:
    expected = f"an instrument of the catalogue: {', '.join(sorted(instruments))}"
    for place, symbol in enumerate(written.strategy.spec.symbols):
        if symbol not in instruments:
            path = ("spec", "symbols", place)
            yield written.problem(path, shown(symbol), expected, nearest(symbol, instruments))


def _bytes(path: Path) -> bytes:
    try:
        return read_at_most(path, LARGEST)
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        raise InvalidManifest([Problem(str(path), 0, "", found, "a manifest file")]) from None


def _in_two_files(strategies: Iterable[Written]) -> list[Problem]:
    first: dict[str, Written] = {}
    problems = []
    for written in strategies:
        before = first.setdefault(written.strategy.ref, written)
        if before is not written:
            expected = f"each strategy once; {before.file} has it"
            value = f"{written.strategy.ref!r} again"
            problems.append(written.problem(("metadata", "name"), value, expected))
    return problems


def _joined(problems: Sequence[Problem], checked: Sequence[Checked]) -> Checked:
    return Checked(
        tuple(strategy for each in checked for strategy in each.strategies),
        (*problems, *(problem for each in checked for problem in each.problems)),
        tuple(warning for each in checked for warning in each.warnings),
        tuple(strategy for each in checked for strategy in each.elsewhere),
    )


def _check(written: Written, path: Path, config_maps: ConfigMaps, *, here: bool) -> Checked:
    folder = path.absolute().parent
    located = locate(written, folder, config_maps)
    if isinstance(located, Problem):
        return Checked(problems=(located,))
    if isinstance(located, Elsewhere):
        return (
            Checked(problems=(located.problem,)) if here else Checked(elsewhere=(written.strategy,))
        )
    if here and (unable := tuple(_not_on_one_machine(written))):
        return Checked(problems=unable)
    values = revisions.normalised(written.strategy.spec.parameters or {})
    inspection = inspect(located.source, values)
    if inspection.findings:
        return Checked(problems=tuple(_problem(written, located, f) for f in inspection.findings))
    files = (path.absolute(), *located.files)
    strategy = CheckedStrategy(
        written.strategy, inspection.code_digest, located.source, files, folder
    )
    return Checked((strategy,), warnings=tuple(_warnings(written)))


def _problem(written: Written, located: Located, finding: Finding) -> Problem:
    if finding.parameter is not None:
        return _of_parameter(written, finding, finding.parameter)
    value, expected = finding.value, finding.expected or "code of one strategy that loads"
    if finding.line and located.files:
        return Problem(str(located.files[0]), finding.line, "", value, expected)
    if finding.line:
        value = f"line {finding.line} of the code: {value}"
    value = value.removeprefix(f"{located.path[-1]}: ")  # the path says it
    return written.problem(located.path, value, expected, finding.did_you_mean)


def _of_parameter(written: Written, finding: Finding, name: str) -> Problem:
    path = ("spec", "parameters", name) if name else ("spec", "parameters")
    as_written = (written.strategy.spec.parameters or {}).get(name)
    value = finding.value
    if name and not value.startswith("unknown"):
        value = shown(as_written)
    return written.problem(path, value, finding.expected, finding.did_you_mean)


def _not_on_one_machine(written: Written) -> Iterable[Problem]:
    """What a manifest may ask of a cluster, and would be passed over in silence here."""
    spec = written.strategy.spec
    rollout = spec.rollout or Rollout()
    if rollout.type not in (None, RolloutType.ROLLING):
        expected = "Rolling: a desk on one machine hands over"
        yield written.problem(("spec", "rollout", "type"), shown(rollout.type.value), expected)
    if rollout.working_orders is WorkingOrders.CANCEL:
        path = ("spec", "rollout", "workingOrders")
        yield written.problem(path, "'Cancel'", "Keep: working orders stay at a hand-over here")
    if rollout.supersede is Supersede.FINISH:
        path = ("spec", "rollout", "supersede")
        yield written.problem(path, "'Finish'", "Replace: the newest revision is wanted here")
    if spec.deletion_in_force().position_policy is PositionPolicy.FLATTEN:
        path = ("spec", "deletion", "positionPolicy")
        yield written.problem(path, "'Flatten'", "Keep: what is taken away keeps its position here")


def _warnings(written: Written) -> Iterable[Problem]:
    spec, feed = written.strategy.spec, written.strategy.spec.feed
    if spec.image is not None:
        yield written.problem(("spec", "image"), "for clusters; here what is installed runs", "")
    if feed is not None and feed.redis is not None and feed.redis.channels is None:
        path = ("spec", "feed", "redis", "channels")
        yield written.problem(path, f"not written, {DEFAULT_CHANNEL} is used", "")
