"""Fault scripts: what they can say, and what they are told when they say it wrongly."""

from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.simulator import Api, InjectedFault, Kind, When, load_faults


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Name a script that is not there yet."""
    return tmp_path / "weather.toml"


def test_a_script_gives_its_faults_in_order(script: Path) -> None:
    """Every table is one fault with the fields of `Fault`."""
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
        InjectedFault(Kind.LOSE_AFTER_APPLYING, api=Api.POINTS, key="card-*", every=10, times=3),
        InjectedFault(Kind.SLOW, seconds=2, when=When.AFTER_APPLYING, probability=0.25),
    )


def test_an_empty_script_is_fair_weather(script: Path) -> None:
    """A script without tables has no faults."""
    script.write_text("# nothing yet\n", encoding="utf-8")

    assert load_faults(script) == ()


def test_all_faults_of_a_script_are_told_at_once(script: Path) -> None:
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
        f"{script}: [[fault]] 3: `first` is 'two', but has to be a whole number",
        f"{script}: [[fault]] 3: `each_key` is 1, but has to be true or false",
        f"{script}: [[fault]] 3: `probability` is True, but has to be a number",
        f"{script}: [[fault]] 3: `retry_after` is [], but has to be a number of seconds or an HTTP date",
        f"{script}: [[fault]] 3: `code` is 5, but has to be a text",
        f"{script}: [[fault]] 4: `seconds` means nothing to kind `cut_body`, which takes none of its own",
        f"{script}: [[fault]] 5: `after_second` is not known; did you mean `after_seconds`?",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("[fault]\nkind = 'slow'", "`fault` has to be an array of tables", id="one table"),
        pytest.param("fault = 'slow'", "`fault` has to be an array of tables", id="a text"),
        pytest.param("[[fault]", "not TOML", id="no TOML"),
    ],
)
def test_what_is_no_script_is_told_by_its_name(text: str, sentence: str, script: Path) -> None:
    """A file of another shape is refused in one sentence."""
    script.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=f"weather.toml: {sentence}"):
        load_faults(script)


def test_a_script_that_is_not_there_is_told_by_its_name(script: Path) -> None:
    """A missing file is a fault of the settings."""
    with pytest.raises(SettingsError, match=r"weather.toml: the fault script can't be read"):
        load_faults(script)
