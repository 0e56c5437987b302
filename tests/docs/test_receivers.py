"""The how-tos on alerts and metrics agree with config, code and metrics."""

import re
import tomllib
from pathlib import Path

import pytest

from pipeline.notify.telemetry.metrics import METRICS
from pipeline.resources import schema
from pipeline.settings.structure import check_structure

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
STARTER = Path(__file__).parents[2] / "pipeline" / "starter" / "templates" / "backfill.toml"
PAGES = {name: (HOW_TO / f"{name}.md").read_text(encoding="utf-8") for name in ("alerts", "metrics")}
BASE = """
[accounts.a]
platform = "alipay"
app_id = "1"
[jobs.orders]
export = "orders"
api = "alipay.state"
account = "a"
"""


def faults(text: str) -> list[str]:
    return check_structure(tomllib.loads(BASE + text), "page")[1]


@pytest.mark.parametrize("page", PAGES)
def test_the_config_of_a_page_is_one(page: str) -> None:
    """Each block breaks no rule of the schema, also with its comments made settings."""
    for block in re.findall(r"```toml\n(.*?)```", PAGES[page], re.DOTALL):
        assert faults(block) == []
        assert faults(re.sub(r"(?m)^# ", "", block)) == []


def test_the_comments_of_the_starter_are_a_config() -> None:
    """The lines on receivers in a new config work once their marks are removed."""
    lines = STARTER.read_text(encoding="utf-8").split("# ---- alerts")[1].splitlines()[1:]
    text = "\n".join(line.removeprefix("# ") for line in lines)

    assert (faults(text), set(tomllib.loads(text))) == ([], {"notify", "telemetry"})


def test_the_page_has_each_metric() -> None:
    """Names, labels and meanings are those of the code."""
    rows = re.findall(r"^\| `(backfill_\w+)` \| ([\w, ]+) \| (.*) \|$", PAGES["metrics"], re.MULTILINE)

    assert {name: meaning for name, _, meaning in rows} == dict(METRICS)
    assert {name for name, labels, _ in rows if "status" in labels} == {"backfill_rows"}


def test_the_pages_name_each_setting() -> None:
    """Each key of a receiver and of telemetry stands on a page."""
    definitions = schema("config.json")["$defs"]
    keys = [*definitions["receiver"]["properties"], *definitions["telemetry"]["properties"]]
    text = "".join(PAGES.values())

    assert [key for key in keys if not re.search(rf"\b{key}\b", text)] == []
