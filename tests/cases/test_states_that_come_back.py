"""States of an object are sent in order, also repeated ones; the last confirmed state is not sent again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.cases.inputs import csv_of, job, parquet_of, row, run, state
from tests.cases.player import Player

Rows = Sequence[Mapping[str, Any]]

FROZEN, ACTIVE, ENDED = (state(1, code) for code in ("FROZEN", "ACTIVE", "ENDED"))


def at(hour: int, code: str, **changes: Any) -> dict[str, Any]:
    """Return a state with the time of its change."""
    return state(1, code, updated_at=f"2025-11-20 {hour:02}:00:00", **changes)


def night(rows: Rows, outcomes: Sequence[str], sent: Rows, exit_code: int = 0) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of a night, and the expected step: each row's status and code, and the payloads in order."""
    wanted = [row("states.csv", n, *words.split()) for n, words in enumerate(outcomes, 1)]
    payloads = [{name: value for name, value in each.items() if name != "updated_at"} for each in sent]
    return rows, run("run states", exit_code, wanted, payloads, in_order=True)


SENT = "succeeded 10000"
NIGHTS = [
    pytest.param(
        [
            night([FROZEN, ACTIVE, FROZEN, ACTIVE], [SENT] * 4, [FROZEN, ACTIVE, FROZEN, ACTIVE]),
            night(
                [FROZEN, ACTIVE, FROZEN, ACTIVE],
                [*["skipped already_succeeded"] * 3, "skipped unchanged"],
                [],
            ),
        ],
        id="a-file-again",
    ),
    pytest.param(
        [
            night([FROZEN], [SENT], [FROZEN]),
            night([FROZEN], ["skipped unchanged"], []),
            night([ACTIVE, FROZEN], [SENT, SENT], [ACTIVE, FROZEN]),
            night([ACTIVE], [SENT], [ACTIVE]),
        ],
        id="night-by-night",
    ),
    pytest.param(
        [
            night([state(1, "FROZEN", biz_data='{"n":1}')], [SENT], [state(1, "FROZEN", biz_data='{"n":1}')]),
            night([state(1, "FROZEN", biz_data='{"n":2}')], [SENT], [state(1, "FROZEN", biz_data='{"n":2}')]),
            night([state(1, "FROZEN", biz_data='{"n":2}')], ["skipped unchanged"], []),
        ],
        id="new-data-under-the-same-state",
    ),
    pytest.param(
        [
            night(
                [at(3, "FROZEN"), at(1, "FROZEN"), at(2, "ACTIVE")],
                [SENT] * 3,
                [at(1, "FROZEN"), at(2, "ACTIVE"), at(3, "FROZEN")],
            ),
            night([at(2, "ENDED")], ["skipped superseded"], []),
            night([at(3, "ENDED")], [SENT], [ENDED]),
        ],
        id="by-the-exports-own-time",
    ),
    pytest.param(
        [night([FROZEN, FROZEN, ACTIVE], [SENT, "skipped duplicate_row", SENT], [FROZEN, ACTIVE])],
        id="two-equal-rows",
    ),
    pytest.param(
        [
            night(
                [FROZEN, state(1, "ACTIVE", user_id="2088123412341235"), state(1, "FROZEN", out_principal_id="P2")],
                [SENT] * 3,
                [
                    FROZEN,
                    state(1, "ACTIVE", user_id="2088123412341235"),
                    state(1, "FROZEN", out_principal_id="P2"),
                ],
            )
        ],
        id="other-users-and-principals",
    ),
    pytest.param(
        [
            night(
                [at(1, "FROZEN"), state(1, "ACTIVE", updated_at=""), state(2, "FROZEN", updated_at="")],
                ["invalid contradiction updated_at", "invalid contradiction updated_at", SENT],
                [state(2, "FROZEN")],
                exit_code=3,
            )
        ],
        id="some-rows-say-when",
    ),
]


@pytest.mark.parametrize("file", [pytest.param(csv_of, id="csv"), pytest.param(parquet_of, id="parquet")])
@pytest.mark.parametrize("nights", NIGHTS)
def test_states_are_sent_as_they_change(
    nights: Sequence[tuple[Rows, dict[str, Any]]], file: Any, player: Player
) -> None:
    """Each change is sent once, in order; a sequence that an earlier run sent is not sent again."""
    name = "states.csv" if file is csv_of else "states.parquet"
    player.prepare(job("states", [name]))
    for rows, step in nights:
        data = file(rows)
        (player.folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

        player.play([{**step, "rows": [{**each, "file": name} for each in step["rows"]]}])
