"""Each folder here is a case: jobs, inputs, and the expected result in right.json."""

import json
from pathlib import Path

import pytest

from tests.cases.player import Player


def played_cases() -> list[Path]:
    """Return the folders with steps; a manual case has none."""
    rights = sorted(Path(__file__).parent.glob("*/right.json"))
    return [right.parent for right in rights if json.loads(right.read_text(encoding="utf-8"))["steps"]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in played_cases()])
def test_a_case_gives_the_expected_result(case: Path, player: Player) -> None:
    """The steps of right.json give its exit codes, outcomes, requests and words."""
    right = json.loads((case / "right.json").read_text(encoding="utf-8"))
    player.prepare_folder(case, base_url=right.get("base_url"))

    player.play(right["steps"])
