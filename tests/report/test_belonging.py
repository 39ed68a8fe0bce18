"""What a person says belongs together is what is put together."""

import pytest

from seqrl.cli.reading import kinds_in
from seqrl.errors import UnknownName
from seqrl.report.belonging import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_told(kind: str) -> None:
    """All but the first were once heard and forgotten."""
    assert kinds_in(kind) == {kind}
    assert kinds_in(f"data, {kind}") == {"data", kind}


def test_other_kinds_are_refused() -> None:
    """A word that nobody understands must not pass for one that was heeded."""
    with pytest.raises(UnknownName, match=r"differ in agents\. They can in data, fingerprint"):
        kinds_in("target,agents")
    assert kinds_in("") == frozenset()
