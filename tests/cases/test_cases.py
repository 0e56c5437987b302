"""Every folder beside this file is a member of a kind of input, and comes out as its right.json says."""

import json
from pathlib import Path

import pytest

from tests.cases.player import Player


def played_cases() -> list[Path]:
    """Return the folders that have steps; a case that is done by hand has none."""
    rights = sorted(Path(__file__).parent.glob("*/right.json"))
    return [right.parent for right in rights if json.loads(right.read_text(encoding="utf-8"))["steps"]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in played_cases()])
def test_a_case_comes_out_right(case: Path, player: Player) -> None:
    """The steps of right.json give the exit codes, outcomes, requests and words that stand there."""
    right = json.loads((case / "right.json").read_text(encoding="utf-8"))
    player.prepare_folder(case, base_url=right.get("base_url"))

    player.play(right["steps"])
