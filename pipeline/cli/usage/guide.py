"""Help and errors that guide: examples keep their lines, and errors name what was probably meant."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pipeline.cli.usage.argument_parser import Formatter, Parser
from pipeline.language import t


class GuidingParser(Parser):
    """A parser whose errors name the nearest command, option or value. `commands` are its commands by name."""

    commands: Mapping[str, argparse.ArgumentParser] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": GuidingFormatter, **kwargs})

    def refuse(self, command: str, words: Sequence[str]) -> NoReturn:
        """Print that a command does not know these words, and exit with 2."""
        from pipeline.settings.wording import nearest  # noqa: PLC0415 - only an error needs it

        parser = self.commands[command]
        options = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 - no public name
        wrong, listed = next((word for word in words if word.startswith("-")), ""), " ".join(words)
        name = nearest(wrong.partition("=")[0], options)
        if name is None:
            parser.error(t("unrecognized arguments: {words}", words=listed))
        parser.error(t("unrecognized arguments: {words}; did you mean {name}?", words=listed, name=name))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            from pipeline.settings.wording import nearest  # noqa: PLC0415 - only an error needs it

            name = nearest(value, action.choices)
            if name is not None:
                text = t("invalid choice: {word}; did you mean {name}?", word=repr(value), name=name)
                raise argparse.ArgumentError(action, text)
        super()._check_value(action, value)


class GuidingFormatter(Formatter):
    """Fills paragraphs of a help text, and keeps indented lines, which are examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n".join(line if line.startswith("  ") else fill(line, width, indent) for line in text.splitlines())
