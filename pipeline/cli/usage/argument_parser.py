"""The parser of a command line: no abbreviations, errors that are safe for a terminal, texts in the chosen language."""

import argparse
import re
import shutil
import sys
from typing import Any, NoReturn

from pipeline.language import Language, language_in_use, later, t
from pipeline.redact import visible

_HEADINGS = {
    "positional arguments": later("positional arguments"),
    "options": later("options"),
}

# The errors that argparse can raise here.
_ERRORS = (
    later("argument {argument}: {error}"),
    later("the following arguments are required: {names}"),
    later("unrecognized arguments: {words}"),
    later("invalid choice: {word} (choose from {words})"),
    later("invalid {kind} value: {word}"),
    later("expected one argument"),
    later("ignored explicit argument {word}"),
    later("not allowed with argument {other}"),
)


class Parser(argparse.ArgumentParser):
    """
    A parser without abbreviations, because new options would change their meaning.

    Errors show wrong words, which may be file names, in a form that is safe for any terminal.
    """

    def __init__(self, *args: Any, add_help: bool = True, **kwargs: Any) -> None:
        ours = {"allow_abbrev": False, "formatter_class": Formatter}
        super().__init__(*args, **{**ours, **kwargs, "add_help": False})
        if add_help:
            self.add_argument("-h", "--help", action="help", help=t("show this help message and exit"))

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, t("{command}: error: {error}", command=self.prog, error=visible(_translated(message))) + "\n")


class Formatter(argparse.HelpFormatter):
    """Writes argparse's own words in the language of the process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if language_in_use() is Language.CHINESE:
            # argparse counts characters, and a Chinese one is two columns wide.
            kwargs["width"] = shutil.get_terminal_size().columns * 2 // 3 - 2
        super().__init__(*args, **kwargs)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Add the usage under our word for it."""
        super().add_usage(usage, actions, groups, t("usage: ") if prefix is None else prefix)

    def start_section(self, heading: str | None) -> None:
        """Begin a group of arguments; argparse's own groups have our words."""
        known = _HEADINGS.get(heading or "")
        super().start_section(t(known) if known else heading)


def _translated(message: str) -> str:
    """Return an error of argparse in the language of the process."""
    for english in _ERRORS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*?)", re.escape(english))
        if found := re.fullmatch(pattern, message, re.DOTALL):
            values = found.groupdict()
            if "error" in values:
                values["error"] = _translated(values["error"])
            return t(english, **values)
    return message
