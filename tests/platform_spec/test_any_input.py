"""Whatever is read as a manifest, it ends in a manifest or in problems."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from platform_spec.manifest import Manifest, parse
from platform_spec.problems import InvalidManifest

VALID = b"""\
apiVersion: stratops.dev/v1alpha1
kind: Strategy
metadata: {name: probe, labels: {a: b}}
spec:
  strategy: {source: {inline: "x = 1"}}
  version: 1.0.0
  parameters: {period: 5, band: 1e-7, quantity: "0.1", names: [a, {b: c}]}
  symbols: &symbols [BTCUSDT]
  feed: {redis: {url: redis://feed:6379, channels: ["market:{symbol}"]}}
  mode: live
  capital: {amount: "100000", currency: USDT}
  risk: {policy: p, limits: {allowed_symbols: *symbols, max_drawdown: 0.1}}
  rollout: {type: Rolling, workingOrders: Keep}
  suspend: false
  resources: {limits: {cpu: 1, memory: 128Mi}}
"""
PIECES = [
    b":", b"-", b"[", b"]", b"{", b"}", b"&a", b"*a", b"!!", b"!x", b"|", b">", b"'", b'"', b"\n",
    b"\t", b" ", b"---\n", b"...", b"#", b"%YAML 1.1\n", b"? ", b"<<", b"null", b"1e999", b".nan",
    b"\\ud800", b"\xff", b"\x00", b"\xef\xbb\xbf", b"0x1F", b"9" * 400, b"\r", b"\xe2\x80\xa8",
]  # fmt: skip


def outcome(data: bytes) -> Manifest | InvalidManifest:
    try:
        return parse(data, "desk.yaml")
    except InvalidManifest as invalid:
        return invalid


def holds(found: Manifest | InvalidManifest) -> bool:
    """Every problem names its file, its line, what was found and what was expected."""
    if isinstance(found, Manifest):
        return True
    return bool(found.problems) and all(
        problem.file and problem.line >= 1 and problem.value and problem.expected
        and str(problem).startswith("desk.yaml:") and len(str(problem)) < 2_000
        for problem in found.problems
    )  # fmt: skip


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf" + VALID)
def test_any_bytes_end_well(data: bytes) -> None:
    assert holds(outcome(data))


@given(st.text(max_size=300))
def test_any_text_ends_well(text: str) -> None:
    assert holds(outcome(text.encode(errors="surrogatepass")))


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(PIECES) | st.binary()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_damaged_manifest_ends_well(cuts: list[tuple[int, int, bytes]]) -> None:
    data = VALID
    for place, removed, put in cuts:
        data = data[:place] + put + data[place + removed :]
    assert holds(outcome(data))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(
    st.sampled_from(
        [b"probe", b"{a: b}", b'{inline: "x = 1"}', b"1.0.0", b"1e-7", b"[a, {b: c}]", b"[BTCUSDT]",
         b"redis://feed:6379", b"live", b'"100000"', b"USDT", b"*symbols", b"0.1", b"Rolling",
         b"false", b"128Mi", b"mode", b"risk", b"spec", b"Strategy"]
    ),
    JSON,
)  # fmt: skip
def test_any_value_in_any_place_ends_well(place: bytes, value: Any) -> None:
    import yaml

    written = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n")
    assert holds(outcome(VALID.replace(place, written.strip().encode(), 1)))
