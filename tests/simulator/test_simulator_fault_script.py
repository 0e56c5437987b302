"""Fault scripts: their content and their errors."""

from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.simulator import Api, FaultKind, InjectedFault, When, load_faults


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return the path of a script that does not exist yet."""
    return tmp_path / "faults.toml"


def test_a_script_gives_its_faults_in_order(script: Path) -> None:
    """Every table is one fault with the fields of `InjectedFault`."""
    script.write_text(
        """
        [[fault]]
        kind = "lose_after_applying"
        api = "wechatpay.points"
        key = "card-*"
        every = 10
        times = 3

        [[fault]]
        kind = "slow"
        seconds = 2
        when = "after_applying"
        probability = 0.25
        """,
        encoding="utf-8",
    )

    assert load_faults(script) == (
        InjectedFault(FaultKind.LOSE_AFTER_APPLYING, api=Api.POINTS, key="card-*", every=10, times=3),
        InjectedFault(FaultKind.SLOW, seconds=2, when=When.AFTER_APPLYING, probability=0.25),
    )


def test_an_empty_script_has_no_faults(script: Path) -> None:
    """A script without tables has no faults."""
    script.write_text("# nothing yet\n", encoding="utf-8")

    assert load_faults(script) == ()


def test_all_errors_of_a_script_are_reported_at_once(script: Path) -> None:
    """Each sentence names file, table and key, and the nearest right name."""
    script.write_text(
        """
        [[faults]]
        [[fault]]
        kind = "lose_after_aplying"
        [[fault]]
        kind = "status"
        statsu = 500
        [[fault]]
        api = "wechatpay.point"
        first = "two"
        each_key = 1
        probability = true
        retry_after = []
        code = 5
        [[fault]]
        kind = "cut_body"
        seconds = 1.5
        [[fault]]
        kind = "throttle"
        after_second = 3
        """,
        encoding="utf-8",
    )

    with pytest.raises(SettingsError) as raised:
        load_faults(script)

    assert raised.value.faults == (
        f"{script}: `faults` is not known; did you mean `fault`?",
        f"{script}: [[fault]] 1: `kind` is 'lose_after_aplying', which is not known; "
        "did you mean `lose_after_applying`?",
        f"{script}: [[fault]] 2: `statsu` is not known; did you mean `status`?",
        f"{script}: [[fault]] 3: `kind` is missing: it says what goes wrong",
        f"{script}: [[fault]] 3: `api` is 'wechatpay.point', which is not known; did you mean `wechatpay.points`?",
        f"{script}: [[fault]] 3: `first` is 'two', but must be a whole number",
        f"{script}: [[fault]] 3: `each_key` is 1, but must be true or false",
        f"{script}: [[fault]] 3: `probability` is True, but must be a number",
        f"{script}: [[fault]] 3: `retry_after` is [], but must be a number of seconds or an HTTP date",
        f"{script}: [[fault]] 3: `code` is 5, but must be a text",
        f"{script}: [[fault]] 4: `seconds` is not an option of kind `cut_body`, which takes no options",
        f"{script}: [[fault]] 5: `after_second` is not known; did you mean `after_seconds`?",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("[fault]\nkind = 'slow'", "`fault` must be an array of tables", id="one table"),
        pytest.param("fault = 'slow'", "`fault` must be an array of tables", id="a text"),
        pytest.param("[[fault]", "not TOML", id="no TOML"),
    ],
)
def test_a_file_that_is_not_a_script_is_refused(text: str, sentence: str, script: Path) -> None:
    """A file of another shape is refused in one sentence."""
    script.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=f"faults.toml: {sentence}"):
        load_faults(script)


def test_a_missing_script_is_reported_by_name(script: Path) -> None:
    """A missing file raises SettingsError."""
    with pytest.raises(SettingsError, match=r"can't read the fault script .*faults.toml"):
        load_faults(script)
