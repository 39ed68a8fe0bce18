"""Captions: what a table's numbers must not be told without."""

from dataclasses import replace

from seqrl.report.captions import caption
from seqrl.runs.record import RunRecord
from tests.runs.recorded import recorded


def test_who_played_fewer_episodes_is_told() -> None:
    """What differs from agent to agent is said of each, what differs from task to task of each."""
    other = "seqrl/walker2d-medium-v1"
    few, many = recorded([1.0], name="BC"), recorded([1.0, 2.0], name="DT")
    assert "BC (BehaviourCloning, 100,000 updates, episodes of each: 1)" in caption([few, many])

    def trained(record: RunRecord, precision: str) -> RunRecord:
        return replace(record, identity={**record.identity, "training_precision": precision})

    two = [trained(few, "float32"), trained(recorded([1.0], task=other, name="BC"), "bfloat16")]
    said = caption([*two, trained(recorded([1.0], name="DT"), "float32")])
    assert "walker2d-medium-v1 (embedded, not D4RL's; fingerprint 01234567)" in said
    assert "played in Hopper-v4, trained in bfloat16." in said
    assert "BC (BehaviourCloning, 100,000 updates)" in said
