"""Pages of the reference, made from the parser, the schemas and the catalogue of codes."""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from docs.site.markdown import section
from docs.site.words import Words
from pipeline.cli.parser import build_parser
from pipeline.language import Language, language_in_use, use_language
from pipeline.model import Api, Status
from pipeline.report.files.record import OUTCOME_COLUMNS
from pipeline.resources import schema
from pipeline.simulator import command as simulator_command
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.answers import ANSWER_RULES
from pipeline.write.answers.matrix.condition import Action, Codes, Condition, Rule
from pipeline.write.answers.matrix.statuses import STATUS_RULES
from pipeline.write.answers.matrix.wechatpay import INNER_NUMBERS, WECHATPAY_CODES

CHECKOUT = Path(__file__).parents[2]
EXPORTS = ("orders", "tasks", "points", "states")

# What is said of each column of the outcome file.
COLUMN_MEANINGS = {
    "run_id": "id of the run",
    "job": "name of the job in the config",
    "source_file": "file that the row comes from",
    "source_row": "number of the row in its file, from 1, without the header",
    "request_key": "key by which the platform knows the request; empty if the row has none",
    "status": "outcome of the row",
    "code": "the platform's code, or one of our own",
    "message": "what happened, where, and what to do next; ids are masked",
    "http_status": "HTTP status of the last answer",
    "attempts": "requests that were sent for the row in this run",
    "first_sent_at": "when the first request was sent; UTC, ISO 8601 with milliseconds",
    "finished_at": "when the outcome was known; UTC, ISO 8601 with milliseconds",
    "latency_ms": "milliseconds from the last request to its answer",
    "trace_id": "the platform's id of the last answer: its support asks for it",
}
# Meaning of each status, and the next step.
STATUS_MEANINGS = {
    Status.SUCCEEDED: ("confirmed by the platform, signature verified", "none"),
    Status.SKIPPED: ("nothing to send", "none"),
    Status.INVALID: ("cannot be sent as it is; never sent", "fix the row in `rows_to_fix`"),
    Status.REJECTED: (
        "refused by the platform for good",
        "fix the row, or `rerun --new-keys` if the platform asks for a new key",
    ),
    Status.UNKNOWN: ("may have been applied: no trusted answer", "`rerun`: same key, same bytes"),
    Status.BLOCKED: ("a row that it depends on did not succeed", "`rerun` once that row succeeded"),
    Status.UNSENT: ("certainly not applied", "`rerun`, or `resume` of a run that was stopped"),
}
# Why a platform answers with a code of this condition.
CAUSES = {
    Condition.SYSTEM_ERROR: "the platform has a fault of its own; the request may have been applied",
    Condition.SERVER_UNAVAILABLE: "the platform did not handle the request",
    Condition.KEY_USED: "the request key was used before",
    Condition.CONTENT_REFUSED: "the platform refuses the content of the row",
    Condition.PAYMENT_UNKNOWN: "the platform does not know the payment of this refund",
    Condition.AGREEMENT_UNCONFIRMED: "the platform could not confirm the agreement",
    Condition.THROTTLED: "too many requests; this one was not accepted",
    Condition.SIGNATURE_REFUSED: "our signature, key or certificate is refused",
    Condition.CLOCK_REFUSED: "the time of our request is refused",
    Condition.APP_REFUSED: "the app or merchant, its permission or its setup is refused",
    Condition.ACCESS_REFUSED: "the app or merchant may not report for this agreement",
    Condition.TOKEN_REFUSED: "the authorisation token is refused",
    Condition.ENCRYPTION_REFUSED: "the encryption of the request is refused",
    Condition.REQUEST_MALFORMED: "the form of the request is refused: a header or a field",
    Condition.UNKNOWN_CODE: "the platform's documents do not explain this code",
}
_APIS = {
    "Alipay: cumulation (orders, tasks)": (Api.CUMULATION,),
    "Alipay: states": (Api.STATE,),
    "WeChat Pay: points": (Api.POINTS, Api.BRAND_POINTS),
}
# Pages with the codes of an API, the one that counts most last.
_PLATFORM_PAGES = {
    Api.CUMULATION: ["alipay-v3-cumulation.md"],
    Api.STATE: ["alipay-v3-cumulation.md", "alipay-gateway-state-sync.md"],
    Api.POINTS: ["wechatpay-v3-points.md"],
    Api.BRAND_POINTS: ["wechatpay-v3-points.md"],
}
_LIMITS = {"minLength": "at least {} characters", "maxLength": "up to {} characters", "minimum": "{} or more"}


def reference_pages(language: Language, say: Words) -> dict[str, str]:
    """Return the pages of the reference in one language, by their names. `say` returns a text in that language."""
    with _printed_in(language):
        return {
            "commands": commands_page(say),
            "config": config_page(say),
            "exports": exports_page(say),
            "outcomes": outcomes_page(say, language),
            "errors": errors_page(say),
        }


@contextmanager
def _printed_in(language: Language) -> Iterator[None]:
    before = language_in_use()
    use_language(language)
    try:
        yield
    finally:
        use_language(before)


# ---- commands ----


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command; that of `simulate` with its own options."""
    choices = next(
        action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    simulator_command.add_arguments(choices["simulate"])
    return dict(choices)


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return arguments and options of a command, without `--help`."""
    return [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]


def commands_page(say: Words) -> str:
    """Return the page of commands: arguments and options of each."""
    parser = build_parser()
    listed = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    helps = {action.dest: action.help or "" for action in listed._choices_actions}
    lines = [f"# {say('Commands')}", "", parser.epilog or ""]
    for name, command in subcommands().items():
        arguments = [_written(action) for action in options_of(command) if not action.option_strings]
        lines += ["", f"## backfill {name}", "", command.description or helps[name], ""]
        lines += ["```", " ".join(["backfill", name, *arguments]), "```", ""]
        rows = [(_code(_names(action)), _help(command, action)) for action in options_of(command)]
        lines += _table((say("argument"), say("meaning")), rows) if rows else []
        if command.epilog:
            lines += ["", command.epilog]
    return "\n".join(lines) + "\n"


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        return _written(action)
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(action.option_strings) + value


def _written(action: argparse.Action) -> str:
    name = _metavar(action)
    return {"*": f"[{name} ...]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return escape(parser._get_formatter()._expand_help(action), quote=False) if action.help else ""


# ---- config ----


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the config file: its table, the platform of that, its rule in the schema, whether it is required."""

    table: str
    platform: str
    name: str
    rule: Mapping[str, Any]
    required: bool


def config_keys() -> list[Key]:
    """Return each key of the config file, table by table."""
    document = schema("config.json")
    return list(_keys("", document, document["$defs"]))


def _keys(table: str, rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of a table, then those of the tables in it."""
    inner: list[tuple[str, Mapping[str, Any]]] = []
    platform = str(rule.get("properties", {}).get("platform", {}).get("const", ""))
    for name, given in rule.get("properties", {}).items():
        resolved = _resolved(given, definitions)
        if "properties" in resolved or "propertyNames" in resolved:
            inner.append((f"{table}.{name}".strip("."), resolved))
        else:
            yield Key(table, platform, name, resolved, name in rule.get("required", ()))
    if "propertyNames" in rule:
        each = _resolved(rule["additionalProperties"], definitions)
        kinds = [_resolved(part["then"], definitions) for part in each.get("allOf", ()) if "then" in part]
        kinds = [kind | {"required": [*each["required"], *kind["required"]]} for kind in kinds]
        inner += [(f"{table}.NAME", found) for found in kinds or [each]]
    for place, found in inner:
        yield from _keys(place, found, definitions)


def _resolved(rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule with what its `$ref` names; keys beside the `$ref` win."""
    if "$ref" not in rule:
        return dict(rule)
    return _resolved(definitions[rule["$ref"].removeprefix("#/$defs/")], definitions) | dict(rule)


def config_page(say: Words) -> str:
    """Return the page of the config file: each key of each table."""
    lines = [f"# {say('Config file')}", "", say(_CONFIG_INTRODUCTION)]
    tables: dict[str, list[Key]] = {}
    for key in config_keys():
        tables.setdefault(f"[{key.table}]" + (f', platform = "{key.platform}"' if key.platform else ""), []).append(key)
    for heading, keys in tables.items():
        rows = [
            (_required(key.name, key.required), say(str(key.rule.get("title", ""))), _value(key.rule, say))
            for key in keys
        ]
        lines += ["", f"## {heading}", "", *_table((say("key"), say("meaning"), say("value")), rows)]
    return "\n".join(lines) + "\n"


_CONFIG_INTRODUCTION = "One TOML file, `backfill.toml`. Required keys are bold. Paths are relative to the file."


def _value(rule: Mapping[str, Any], say: Words) -> str:
    """Return what a value may be, and its default."""
    if "enum" in rule or "const" in rule:
        text = ", ".join(_code(str(value)) for value in rule.get("enum", [rule.get("const")]))
    else:
        text = escape(say(str(rule.get("description", ""))), quote=False)
    if (default := rule.get("default")) not in (None, ""):
        text += say("; default {}").format(_code(str(default).lower() if isinstance(default, bool) else str(default)))
    return text


def _required(name: str, required: bool) -> str:
    return f"**{_code(name)}**" if required else _code(name)


# ---- exports ----


def exports_page(say: Words) -> str:
    """Return the page of exports: the fields of each."""
    lines = [f"# {say('Fields of the exports')}", "", say(_EXPORTS_INTRODUCTION)]
    for name in EXPORTS:
        document = schema(f"exports/{name}.json")
        fields = document["properties"] | {
            f"{pattern[1:].split(chr(92))[0]}.NAME": rule | {"description": "a member of `biz_data`"}
            for pattern, rule in document.get("patternProperties", {}).items()
        }
        lines += ["", f"## {name}", ""]
        rows = [
            (_required(field, field in document["required"]), _form(_resolved(rule, document["$defs"]), say), say(
                str(rule.get("description", ""))
            ))
            for field, rule in fields.items()
        ]  # fmt: skip
        lines += _table((say("field"), say("value"), say("meaning")), rows)
        rules = [part["x-rule"] for part in document.get("allOf", ()) if "x-rule" in part]
        lines += ["", *(f"- {escape(say(rule), quote=False)}" for rule in dict.fromkeys(rules))]
    return "\n".join(lines) + "\n"


_EXPORTS_INTRODUCTION = "Required fields are bold. `columns` of a job gives each field its column of the export."


def _form(rule: Mapping[str, Any], say: Words) -> str:
    """Return type, words and limits of a field."""
    if "enum" in rule:
        parts = [", ".join(_code(str(value)) for value in rule["enum"])]
    else:
        parts = [say(_KINDS.get(str(rule.get("x-kind", rule.get("type"))), str(rule.get("type"))))]
    # A limit of 65536 is a bound of our own, far beyond what the platforms take.
    known = {limit: rule[limit] for limit in _LIMITS if rule.get(limit) not in (None, 1, 65536)}
    parts += [say(_LIMITS[limit]).format(value) for limit, value in known.items()]
    if "default" in rule:
        return say("; ").join(parts) + say("; default {}").format(_code(str(rule["default"])))
    return say("; ").join(parts)


_KINDS = {
    "id": "id, key or code",
    "time": "time",
    "instant": "time",
    "integer": "whole number",
    "amount": "amount",
    "boolean": "true or false",
    "object": "JSON object",
    "string": "text",
    "discounts": "JSON list",
}


# ---- outcomes ----


def outcomes_page(say: Words, language: Language) -> str:
    """Return the page of outcomes: exit codes, statuses, columns of the outcome file, keys of the summary."""
    readme, heading = (("README.md", "Commands"), ("docs/README.zh-CN.md", "命令"))[language is Language.CHINESE]
    table = re.findall(r"(?m)^\|.*$", section((CHECKOUT / readme).read_text(encoding="utf-8"), heading))
    exits = table[next(number for number, line in enumerate(table) if re.match(r"\| (exit code|退出码)", line)) :]
    statuses = [(_code(status.value), say(means), say(then)) for status, (means, then) in STATUS_MEANINGS.items()]
    columns = [(_code(name), say(COLUMN_MEANINGS[name])) for name in OUTCOME_COLUMNS]
    return "\n".join(
        [
            *(f"# {say('Outcomes and exit codes')}", ""),
            *(f"## {say('Exit codes')}", "", *exits, ""),
            *(f"## {say('Statuses')}", "", *_table((say("status"), say("meaning"), say("next step")), statuses), ""),
            *(f"## {say('Columns of the outcome file')}", "", say(_OUTCOME_FILE), ""),
            *(*_table((say("column"), say("meaning")), columns), ""),
            say(_ROWS_TO_FIX),
            "",
        ]
    )


_OUTCOME_FILE = (
    "`reports/<run id>/outcome.csv`, or `.parquet`, or `.jsonl`: one line for each row read, in source order."
)
_ROWS_TO_FIX = (
    "`rows_to_fix.csv` and `.xlsx` have the invalid and rejected rows with all original columns, "
    "and `_row`, `_status`, `_code`, `_message`."
)


# ---- codes ----


def errors_page(say: Words) -> str:
    """Return the catalogue: cause and fix of each code of the platforms, and of each answer without a code."""
    lines = [*_SEARCHED_FIRST, f"# {say('Error catalogue')}", "", say(_ERRORS_INTRODUCTION)]
    head = (say("code"), say("cause"), say("what to do"), say("the row"))
    for title, apis in _APIS.items():
        known = [codes for codes in ALIPAY_CODES + WECHATPAY_CODES if set(codes.apis) & set(apis)]
        lines += ["", f"## {say(title)}", "", *_table(head, (_line(codes, apis, say) for codes in known))]
    numbers = [(_code(number), say(text)) for number, text in INNER_NUMBERS.items()]
    lines += ["", f"## {say('WeChat Pay: inner error numbers')}", "", say(_NUMBERS), ""]
    lines += _table((say("number"), say("cause")), numbers)
    lines += ["", f"## {say('Answers without a code, and no answer')}", ""]
    own = [rule for rule in ANSWER_RULES + STATUS_RULES if rule.advice]
    lines += _table(head, (_own_line(rule, say) for rule in own))
    return "\n".join(lines) + "\n"


# Who searches for a code finds this page before pages that mention it.
_SEARCHED_FIRST = ("---", "search:", "  boost: 5", "---", "")
_ERRORS_INTRODUCTION = (
    "The column `code` of an outcome, why it came, and what to do. `*` stands for any text. Case, a leading `isv.`, "
    "`isp.` or `aop.`, and `-` or `_` do not matter."
)
_NUMBERS = "The end of `Request-ID`. The message of the outcome shows it; the code stays that of the answer."


def causes_of(codes: Codes, api: Api) -> list[str]:
    """Return why a platform answers with these codes: the meanings on the pages of the API, else the condition's."""
    meanings = platform_meanings(api)
    known = all(name in meanings for name in codes.names) and not codes.only_if
    return list(dict.fromkeys(meanings[name] for name in codes.names)) if known else [CAUSES[codes.condition]]


def platform_meanings(api: Api) -> dict[str, str]:
    """Return the meanings in the tables of an API's pages with the columns `code` and `meaning`, by their codes."""
    found: dict[str, str] = {}
    for page in _PLATFORM_PAGES[api]:
        head: list[str] = []
        for line in (CHECKOUT / "docs" / "platform" / page).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
            head = head if cells and head else cells
            if "meaning" in head and len(cells) == len(head):
                named = next((cells[head.index(name)] for name in ("code", "codes", "sub code") if name in head), "")
                found |= dict.fromkeys(re.findall(r"`([\w.*-]+)`", named), cells[head.index("meaning")])
    return found


def _line(codes: Codes, apis: Sequence[Api], say: Words) -> tuple[str, ...]:
    rule = RULES[codes.condition]
    names = ", ".join(_code(name) for name in codes.names)
    if codes.only_if:
        names += f" ({say('some messages')})"
    if set(codes.apis) == {Api.BRAND_POINTS}:
        names += f" ({say('brand')})"
    api = next(api for api in apis if api in codes.apis)
    cause = say("; ").join(say(cause) for cause in causes_of(codes, api))
    return names, cause, say(codes.advice or rule.advice), say(_ending(codes.action or rule.action(api), rule))


def _own_line(rule: Rule, say: Words) -> tuple[str, ...]:
    happened = say(rule.happened).format(platform=say("the platform"), code="", status="N")
    code = _code(rule.code.replace("{status}", "N")) if rule.losses or rule.trusts or "{" not in rule.code else ""
    if rule.statuses:
        code = f"`http_N` ({_ranges(rule.statuses)})"
    name = code or say("a success that reports a failure")
    return name, happened.replace(" ()", ""), say(rule.advice), say(_ending(rule.action(Api.CUMULATION), rule))


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers in the short form: 500-501, 505-599."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, part)) for part in found)


def _ending(action: Action, rule: Rule) -> str:
    """Return how a row ends after the action of its rule."""
    if action in (Action.RETRY, Action.RETRY_SLOW):
        last = "rejected" if rule.refused_at_last else "unknown" if rule.may_have_acted else "unsent"
        return f"sent again; at last `{last}`"
    return {
        Action.FAIL: "`rejected`",
        Action.NEW_KEY: "`rejected`; `rerun --new-keys`",
        Action.STOP: f"the run stops; `{'unknown' if rule.may_have_acted else 'unsent'}`",
        Action.UNKNOWN: "`unknown`",
        Action.DONE: "`succeeded`",
    }[action]


def _code(text: str) -> str:
    # A `|` would end the cell.
    return f"<code>{escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |" for line in lines]
