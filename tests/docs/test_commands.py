"""Each command of the README, the how-tos and the other pages for users works as printed."""

import re
import shlex
import shutil
import sqlite3
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.simulator import Simulator, client_config, load_faults, write_client_keys
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
SIMULATED = "http://127.0.0.1:8700"
SERVER = "postgresql://etl@db.example/backfill"
# Pages that need a server.
ON_SERVER = ("postgresql.md", "two-hosts.md")
# Its commands need a cluster: tests/cluster runs them.
ON_RAY = DOCS / "how-to" / "ray.md"
BLOCK = re.compile(r'(?ms)^( *)```(\w*)(?: title="([^"]+)")?\n(.*?)^\1```$')
EXIT_CODE = re.compile(r"(?:exit code|退出码) (\d)")

# Lines that begin with these words are not run, each for its reason.
NOT_RUN: Mapping[str, str] = {
    "make": "sets up an environment, runs the demo or all tests; tests/acceptance/test_demo.py runs the demo",
    "pip": "installs from a wheel; the package's own tests install it",
    "pipx": "as pip",
    "uv": "as pip",
    "apt-get": "changes the machine, as root",
    "sudo": "changes the machine, as root",
    "systemctl": "needs systemd",
    "journalctl": "needs systemd",
    "crontab": "changes the user's own table",
    "docker": "needs a container engine",
    "airflow": "needs an Airflow installation",
    "dagster": "needs a Dagster installation",
    "ray": "starts and stops nodes; tests/cluster has two",
}
# What the pages assume: faults of the platforms, as in `simulate --faults`, and commands that ran before.
LOST_ANSWERS = '[[fault]]\nkind = "lose_after_applying"\napi = "alipay.cumulation"\nkey = "A0003"\ntimes = 2\n'
ASSUMED: Mapping[str, tuple[str, Sequence[str]]] = {
    "unknown-rows.md": (LOST_ANSWERS, ["run orders"]),
    "backup-and-restore.md": ("", ["run orders"]),
    "backup.md": ("", ["run orders"]),
    "before-settlement.md": ("", ["run orders"]),
    "postgresql.md": ("", ["run orders"]),
}
PAGES = [
    CHECKOUT / "README.md",
    *(path for path in sorted(DOCS.glob("how-to/*.md")) if not path.name.endswith(".zh.md") and path != ON_RAY),
    *(DOCS / name for name in ("backup.md", "before-settlement.md")),
]
TRANSLATED = [(DOCS / "README.zh-CN.md", CHECKOUT / "README.md")] + [
    (path, path.with_name(path.name.replace(".zh.md", ".md"))) for path in sorted(DOCS.rglob("*.zh.md"))
]


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file that it is written to, and its text."""

    language: str
    file: str
    text: str

    @property
    def is_shell(self) -> bool:
        return self.language in ("sh", "console") or (not self.language and self.text.startswith("backfill "))


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, file, textwrap.dedent(text)) for _, language, file, text in found]


def without_comment(line: str) -> str:
    return re.split(r"(?:^|\s+)#\s", line)[0].strip()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKFILL_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, in place of `SERVER`."""
    url = postgres.database()
    yield url
    postgres.drop(url)


def begin(page: Path, simulator: Simulator, chdir: Callable[[Path], None]) -> None:
    """Make what a page assumes: the folder of `backfill init`, where the README does not make its own."""
    faults, commands = ASSUMED.get(page.name, ("", ()))
    Path("faults.toml").write_text(faults, encoding="utf-8")
    simulator.set_faults(load_faults(Path("faults.toml")))
    if page.name != "README.md":
        assert main(["init", "trial"]) == 0
        chdir(Path("trial").absolute())
        config = Path("backfill.toml")
        text = config.read_text("utf-8").replace(SIMULATED, simulator.url)
        config.write_text(text.replace("\nrate = 20", "\nmax_attempts = 2\nrate = 20"), "utf-8")
    for command in commands:
        assert main(command.split()) == 3


def write(block: Block, simulator: Simulator) -> None:
    """Write a file of a page; a part of the config is added to it."""
    file = Path(block.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a" if file.suffix == ".toml" else "w", encoding="utf-8") as out:
        out.write(f"\n{block.text.replace(SIMULATED, simulator.url)}")


def expanded(word: str) -> list[str]:
    """Return the files that a word names, as a shell does; else the word itself."""
    found = [] if word.startswith("/") else sorted(str(path) for path in Path().glob(word) if "*" in word)
    return found or [word]


def run(line: str, simulator: Simulator, chdir: Callable[[Path], None]) -> int:
    """Run a line as a shell does; `backfill` in this process, and the stand-ins below."""
    words = [found for word in shlex.split(without_comment(line)) for found in expanded(word)]
    match words:
        case ["backfill", "simulate", "--keys", folder, "&"]:  # the simulator is there, at an address of its own
            write_client_keys(Path(folder) / "keys")
            Path(folder, "backfill.toml").write_text(client_config(simulator.url), encoding="utf-8")
            return 0
        case ["backfill", "simulate", "--faults", file, "&"]:
            simulator.set_faults(load_faults(Path(file)))
            return 0
        case ["backfill", "worker"]:  # without an end
            return main(["worker", "--once"])
        case ["backfill", *rest]:
            return main(rest)
        case ["cd", folder]:
            chdir(Path(folder).absolute())
            return 0
        case ["sqlite3", file, statement]:  # the shell of SQLite may not be installed
            with sqlite3.connect(file) as connection:
                connection.execute(statement)
            connection.close()
            return 0
        case ["openssl", "genrsa", "-out", file, _]:  # the simulator knows the test key only
            shutil.copy("keys/app_private_key.pem", file)
            return 0
        case _:
            return subprocess.run(["bash", "-c", without_comment(line)], check=False).returncode


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_a_page_works(
    page: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The commands of a page, one after another, end with the exit code that it names, else with 0."""
    server = request.getfixturevalue("database") if page.name in ON_SERVER else SERVER
    with Simulator() as simulator:
        begin(page, simulator, monkeypatch.chdir)
        if page.name == "two-hosts.md":
            put_ledger_on(server)
        check_commands(page, simulator, monkeypatch.chdir, {SERVER: server})


def put_ledger_on(server: str) -> None:
    """Name the server in the config of the present folder."""
    config = Path("backfill.toml")
    config.write_text(re.sub(r"(?m)^url = .*", f'url = "{server}"', config.read_text("utf-8")), "utf-8")


def check_commands(
    page: Path, simulator: Simulator, chdir: Callable[[Path], None], addresses: Mapping[str, str]
) -> None:
    """Write the files of a page, and run its commands; `addresses` are used in place of those of the page."""
    for block in blocks(page):
        if block.file:
            write(block, simulator)
        for line in block.text.splitlines() if block.is_shell else ():
            if not without_comment(line) or line.split()[0] in NOT_RUN:
                continue
            named, command = EXIT_CODE.search(line), line
            for printed, real in addresses.items():
                command = command.replace(printed, real)
            assert (line, run(command, simulator, chdir)) == (line, int(named[1]) if named else 0)


@pytest.mark.parametrize(("chinese", "english"), TRANSLATED, ids=lambda page: page.name)
def test_a_translation_has_the_same_code(chinese: Path, english: Path) -> None:
    """A Chinese page has the blocks of the English one, apart from comments."""

    def code(page: Path) -> list[tuple[str, str, list[str]]]:
        return [
            (block.language, block.file, [without_comment(line) for line in block.text.splitlines()])
            for block in blocks(page)
            if block.language != "mermaid"
        ]

    assert code(chinese) == code(english)
