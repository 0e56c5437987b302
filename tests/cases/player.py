"""The player of a case: it runs the steps of right.json in a new folder, against the simulator."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import main
from pipeline.simulator import Simulator, client_config, write_client_keys
from pipeline.simulator.apis.gateway_form import charset_of, parameters
from pipeline.simulator.http.messages import Answer, Call
from tests.acceptance.workspace import CommandResult, read_csv

Payload = dict[str, Any]
Step = Mapping[str, Any]
Content = bytes | str | Callable[[Path], None]
"""The content of an input file, or a function that writes it to a path."""

_LEDGER = '[ledger]\nurl = "sqlite:///state/backfill.db"\n'
_NOT_INPUTS = frozenset({"job.toml", "right.json"})


class RecordingSimulator(Simulator):
    """Keeps the payload of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[Payload] = []

    def _receive(self, call: Call) -> Answer:
        self.payloads.append(_payload_of(call))
        return super()._receive(call)


def _payload_of(call: Call) -> Payload:
    charset = charset_of(call)
    text = (parameters(call, charset) or {})["biz_content"] if charset else call.body
    payload: Payload = json.loads(text)
    return payload


class Player:
    """
    A folder with a config, keys and a new ledger, and the simulator that its jobs send to.

    Call `prepare` or `prepare_folder` once, then `play`.
    """

    def __init__(self, folder: Path, simulator: RecordingSimulator, capsys: "pytest.CaptureFixture[str]") -> None:
        self.folder = folder
        self._simulator = simulator
        self._capsys = capsys
        write_client_keys(folder / "keys")

    def prepare(self, jobs: str, files: Mapping[str, Content] | None = None, *, base_url: str | None = None) -> None:
        """Write the config with these jobs, and the input files."""
        config = self.folder / "backfill.toml"
        accounts = client_config(base_url or self._simulator.url)
        config.write_text(f"{_LEDGER}\n{accounts}\n{jobs}", encoding="utf-8")
        config.chmod(0o600)
        for name, content in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def prepare_folder(self, case: Path, *, base_url: str | None = None) -> None:
        """Write the config with the jobs of a case folder, and copy its input files."""
        for item in case.iterdir():
            if item.is_dir():
                shutil.copytree(item, self.folder / item.name)
            elif item.name not in _NOT_INPUTS:
                shutil.copy(item, self.folder / item.name)
        self.prepare((case / "job.toml").read_text(encoding="utf-8"), base_url=base_url)

    def play(self, steps: Iterable[Step]) -> None:
        """Run the steps in order, and assert the expectations of each one."""
        for step in steps:
            if "edit" in step:
                self._edit(step)
            else:
                self._run(step)

    @property
    def sent(self) -> list[Payload]:
        """The payloads received since the last step began."""
        return list(self._simulator.payloads)

    def backfill(self, words: str) -> CommandResult:
        """Run the command in this process, to its end, with `--json` added."""
        self._capsys.readouterr()
        with chdir(self.folder):
            exit_code = main([*words.split(), "--json"])
        said = self._capsys.readouterr()
        return CommandResult(exit_code, said.out, said.err)

    def _run(self, step: Step) -> None:
        known = set(self.folder.glob("reports/*"))
        self._simulator.payloads.clear()
        ended = self.backfill(step["run"])
        said = ended.stdout + ended.stderr
        exits = step["exit"] if isinstance(step["exit"], list) else [step["exit"]]
        assert ended.exit_code in exits, said
        if "rows" in step:
            _check_rows(step["rows"], self._outcomes(ended))
        if "sent" in step:
            _check_sent(step["sent"], self._simulator.payloads, in_order=step.get("in_order", False))
        written = set(self.folder.glob("reports/*")) - known
        said += "".join((report / "outcome.csv").read_text(encoding="utf-8") for report in written)
        assert [form for form in step.get("says", []) if not re.search(form, said, re.IGNORECASE)] == [], said
        if "runs" in step:
            assert len(json.loads(self.backfill("runs").stdout)) == step["runs"]

    def _outcomes(self, ended: CommandResult) -> list[dict[str, str]]:
        report = json.loads(ended.stdout)["report"]
        return read_csv(self.folder / report / "outcome.csv")

    def _edit(self, step: Step) -> None:
        """Change cells of a file of the last report, and save it like a spreadsheet: UTF-8 with a BOM."""
        report = max(self.folder.glob("reports/*"))
        with (report / step["edit"]).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        for number, column, value in step["cells"]:
            rows[number - 1][column] = value
        with (self.folder / step["save_as"]).open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, reader.fieldnames or ())
            writer.writeheader()
            writer.writerows(rows)


def _check_rows(wanted: Sequence[Step], outcomes: Sequence[Mapping[str, str]]) -> None:
    """Assert the status of every row, and code and message where they are given."""
    found = [
        {"file": line["source_file"], "row": int(line["source_row"]), "status": line["status"]} for line in outcomes
    ]
    by_row = {(line["source_file"], int(line["source_row"])): line for line in outcomes}
    plain = [{key: row[key] for key in ("file", "row", "status")} for row in wanted]
    assert found == plain, [(line["code"], line["message"]) for line in outcomes]
    for row in wanted:
        line = by_row[row["file"], row["row"]]
        assert line["code"] == row.get("code", line["code"]), line["message"]
        forms = row.get("message", [])
        assert [form for form in forms if not re.search(form, line["message"], re.IGNORECASE)] == [], line["message"]


def _check_sent(wanted: Sequence[Payload], payloads: Sequence[Payload], *, in_order: bool) -> None:
    """Assert that exactly the wanted payloads were sent."""
    left = list(payloads)
    for payload in wanted:
        fitting = [at for at, sent in enumerate(left[:1] if in_order else left) if _holds(sent, payload)]
        assert fitting, f"not sent: {payload}; sent and not yet matched: {left}"
        del left[fitting[0]]
    assert left == []


def _holds(sent: object, wanted: object) -> bool:
    """Return whether a payload has the wanted fields; a field wanted as None must be absent."""
    if isinstance(wanted, dict):
        return isinstance(sent, dict) and all(_holds(sent.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(sent, list)
            and len(sent) == len(wanted)
            and all(_holds(*pair) for pair in zip(sent, wanted, strict=True))
        )
    return type(sent) is type(wanted) and sent == wanted
