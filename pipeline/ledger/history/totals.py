"""
The totals of agreements, from what the ledger knows of deliveries, waiting dues and invalid rows.

Each report counts once, with the last status that is known of it, however many runs had its row:

- one that was attempted, by its delivery;
- one that never was, by its newest due;
- an invalid row by its cells, read as the config maps them now, until a later run has a valid row of its key.

A row that was given a new key, or was fixed, counts under the key that was applied or may be, else under the newest.
Rows of a run that is still staging do not count.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from pipeline.ledger.records import ROW_BITS, RunRecord
from pipeline.ledger.rules.measures import COLUMNS, MEASURES
from pipeline.ledger.store.port import Connection, Sql, json_of, stream
from pipeline.model import Api, Status
from pipeline.tables.agreement_totals import Measures, OpenAgreement, OpenAgreements, StatusTotals

# Reads the agreement's number and the day (as 20261128) of a row of a job, from the columns of its file and its cells;
# None for each that can't be read.
ReadRow = Callable[[str, tuple[str, ...], tuple[str | None, ...]], tuple[str | None, int | None]]

# Agreements of a run that are listed.
_LISTED = 50
# The condition of the index `dues_open`, word for word: otherwise SQLite does not use it.
_IS_OPEN = "d.card IS NULL AND d.object IS NULL AND coalesce(d.status, '') NOT IN ('succeeded', 'skipped')"

# Deliveries. A refused one that was given another key counts under that.
_DELIVERIES = f"""
SELECT a.name AS account, v.account_no, v.identity, v.digest,
    CASE v.state WHEN 'sending' THEN 'unknown' ELSE v.state END AS status,
    {COLUMNS}
FROM accounts AS a CROSS JOIN deliveries AS v ON v.account_no = a.account_no AND v.api = :api
WHERE (v.biz_day IS NULL OR v.biz_day BETWEEN :first AND :last)
    AND NOT (v.state = 'rejected' AND v.successor IS NOT NULL AND (
        EXISTS (SELECT 1 FROM deliveries AS s
            WHERE s.account_no = v.account_no AND s.api = v.api AND s.identity = v.successor)
        OR EXISTS (SELECT 1 FROM dues AS n JOIN runs AS nr ON nr.run_no = n.run_no
            WHERE n.identity = v.successor AND nr.account_no = v.account_no AND nr.api = v.api)
    ))
"""
# The newest dues of what was never attempted.
_WAITING_DUES = f"""
SELECT r.account, r.account_no, d.identity, d.digest, coalesce(d.status, 'unsent') AS status, {MEASURES}
FROM dues AS d CROSS JOIN runs AS r ON r.run_no = d.run_no
WHERE {_IS_OPEN} AND coalesce(d.status, '') <> 'invalid' AND r.api = :api AND r.act <> 'staging'
    AND NOT EXISTS (SELECT 1 FROM deliveries AS v
        WHERE v.account_no = r.account_no AND v.api = r.api AND v.identity = d.identity)
    AND NOT EXISTS (SELECT 1 FROM dues AS n JOIN runs AS nr ON nr.run_no = n.run_no
        WHERE n.identity = d.identity AND n.due_no > d.due_no AND nr.account_no = r.account_no AND nr.api = r.api
            AND nr.act <> 'staging')
"""
# Whether a report `t`, which was surely not applied, is of a fixed row that counts in another variant: one that was
# applied or may be, else the newest. Two variants with the same deliveries are one; a key has one line only.
_COUNTS_OTHERWISE = """
EXISTS (
    SELECT 1 FROM (
        SELECT origin, max(variant) AS variant FROM variants
        WHERE digest = t.digest AND identity = t.identity AND account_no = t.account_no AND api = :api GROUP BY origin
    ) AS own
    JOIN variants AS other ON other.origin = own.origin AND other.identity <> t.identity AND NOT EXISTS (
        SELECT 1 FROM variants AS same WHERE same.origin = own.origin AND same.variant = own.variant
            AND same.identity = other.identity AND same.digest = other.digest
    )
    LEFT JOIN deliveries AS o ON o.account_no = other.account_no AND o.api = other.api
        AND o.identity = other.identity AND o.digest = other.digest AND o.state IN ('succeeded', 'sending', 'unknown')
    WHERE o.identity IS NOT NULL OR other.variant > own.variant AND NOT EXISTS (
        SELECT 1 FROM variants AS part JOIN deliveries AS p ON p.account_no = part.account_no AND p.api = part.api
            AND p.identity = part.identity AND p.digest = part.digest
        WHERE part.origin = own.origin AND part.variant = own.variant
            AND p.state IN ('succeeded', 'sending', 'unknown')
    )
)
"""
# Invalid rows, each with whether a valid fix of it was staged, which then stands for it. A fix that is invalid itself
# does not count: the row that it fixes does.
_INVALID_ROWS = f"""
SELECT r.account, r.account_no, r.api, r.job, i.columns, w.run_no, w.row_no, w.request_key, w.code, w.cells,
    CASE WHEN EXISTS (SELECT 1 FROM variants AS x
        WHERE x.origin = (w.run_no << {ROW_BITS}) | w.row_no AND x.variant <> x.origin) THEN 1 ELSE 0 END AS is_fixed
FROM (
    SELECT run_no, row_no FROM rows WHERE status = 'invalid'
    UNION
    SELECT d.run_no, d.row_no FROM dues AS d WHERE {_IS_OPEN} AND d.status = 'invalid'
) AS found
CROSS JOIN rows AS w ON w.run_no = found.run_no AND w.row_no = found.row_no
CROSS JOIN runs AS r ON r.run_no = w.run_no
CROSS JOIN inputs AS i ON i.run_no = w.run_no AND i.file_no = w.file_no
WHERE r.api = :api AND r.act <> 'staging'
    AND NOT EXISTS (SELECT 1 FROM origins AS o WHERE o.run_no = w.run_no AND o.row_no = w.row_no)
"""
# Whether no valid row has the key of an invalid row `e`.
_HAS_NO_VALID_ROW = """
e.code = 'key_conflict' OR e.request_key IS NULL OR NOT EXISTS (
    SELECT 1 FROM deliveries AS v WHERE v.account_no = e.account_no AND v.api = e.api
        AND v.identity IN (e.request_key, e.request_key || '-1')
) AND NOT EXISTS (
    SELECT 1 FROM dues AS d JOIN runs AS r ON r.run_no = d.run_no
    WHERE d.identity IN (e.request_key, e.request_key || '-1') AND r.account_no = e.account_no AND r.api = e.api
)
"""
# Of invalid rows with one key, or without a key with equal cells, the newest; unless a valid row has the key.
_NEWEST_INVALID = f"""
SELECT e.account, e.agreement_and_day ->> '$[0]' AS agreement, e.agreement_and_day ->> '$[1]' AS biz_day, 1 AS reports
FROM (
    SELECT account, account_no, api, request_key, code, max(run_no),
        agreement_and_day(job, columns, cells) AS agreement_and_day
    FROM ({_INVALID_ROWS}) GROUP BY account_no, coalesce(request_key, cells) HAVING total(is_fixed) = 0
) AS e
WHERE {_HAS_NO_VALID_ROW}
"""
# The same rows in PostgreSQL, which has no functions of ours: they are read and counted before `_TOTALS`, by account,
# agreement and day.
_NEWEST_INVALID_CELLS = f"""
SELECT e.account, e.job, e.columns, e.cells
FROM (
    SELECT i.*, row_number() OVER (PARTITION BY account_no, coalesce(request_key, cells) ORDER BY run_no DESC) AS turn,
        sum(is_fixed) OVER (PARTITION BY account_no, coalesce(request_key, cells)) AS fixes
    FROM ({_INVALID_ROWS}) AS i
) AS e
WHERE e.turn = 1 AND e.fixes = 0 AND ({_HAS_NO_VALID_ROW})
"""
_COUNTED_INVALID = """
SELECT value ->> 0 AS account, value ->> 1 AS agreement, CAST(value ->> 2 AS BIGINT) AS biz_day,
    CAST(value ->> 3 AS BIGINT) AS reports
FROM json_each(:invalid)
"""


def _totals_of(invalid: str) -> str:
    """
    Return the statement for totals by account, agreement and status; `invalid` are the reports of invalid rows.

    It has numbers of reports and tasks, amount and discount; forward, then reverse. A report that was confirmed before
    its measures were kept has no direction.
    """
    forward, reverse = "coalesce(direction, 1) <> -1", "direction = -1"
    sums = ", ".join(
        f"CAST(sum(CASE WHEN {which} THEN {what} ELSE 0 END) AS BIGINT)"
        for which in (forward, reverse)
        for what in ("reports", "coalesce(tasks, 0)", "coalesce(amount, 0)", "coalesce(discount, 0)")
    )
    return f"""
SELECT t.account, t.agreement, t.status, {sums}
FROM (
    SELECT account, agreement, status, direction, tasks, amount, discount, 1 AS reports
    FROM ({_DELIVERIES} UNION ALL {_WAITING_DUES}) AS t
    WHERE (biz_day IS NULL OR biz_day BETWEEN :first AND :last)
        AND (status IN ('succeeded', 'unknown') OR NOT {_COUNTS_OTHERWISE})
    UNION ALL
    SELECT account, agreement, 'invalid', 1, 0, 0, 0, reports FROM ({invalid}) AS i
    WHERE biz_day IS NULL OR biz_day BETWEEN :first AND :last
) AS t
WHERE (CAST(:account AS TEXT) IS NULL OR t.account = :account)
    AND (CAST(:agreements AS TEXT) IS NULL OR t.agreement IS NULL
        OR t.agreement IN (SELECT value FROM json_each(CAST(:agreements AS TEXT))))
GROUP BY t.account, t.agreement, t.status ORDER BY t.account, t.agreement NULLS FIRST, t.status
"""


_TOTALS = Sql(_totals_of(_NEWEST_INVALID), postgresql=_totals_of(_COUNTED_INVALID))
# The agreements of the invalid rows of a run; in PostgreSQL they are read before, as above.
_INVALID_AGREEMENTS = f"""
SELECT row_no, agreement_and_day(job, columns, cells) ->> '$[0]' FROM ({_INVALID_ROWS}) WHERE run_no = :run_no
"""
_INVALID_CELLS_OF_RUN = f"SELECT row_no, job, columns, cells FROM ({_INVALID_ROWS}) AS i WHERE run_no = :run_no"
_READ_AGREEMENTS = "SELECT CAST(value ->> 0 AS BIGINT), value ->> 1 FROM json_each(:invalid)"


def _open_agreements_of(invalid: str) -> str:
    """
    Return the statement for the agreements of a run with rows that are not final.

    Neither these rows nor their fixes succeeded since. `invalid` are the agreements of invalid rows.
    """
    return f"""
SELECT agreement, count(*), min(row_no), count(*) OVER ()
FROM (
    SELECT t.agreement, t.row_no
    FROM (
        SELECT d.row_no, CAST(d.body AS TEXT) ->> 'agreement_no' AS agreement
        FROM dues AS d WHERE d.run_no = :run_no AND {_IS_OPEN} AND coalesce(d.status, '') <> 'invalid' AND NOT EXISTS (
            SELECT 1 FROM deliveries AS v
            LEFT JOIN deliveries AS s ON s.account_no = v.account_no AND s.api = v.api AND s.identity = v.successor
            WHERE v.account_no = :account_no AND v.api = :api AND v.identity = d.identity
                AND 'succeeded' IN (v.state, s.state)
        )
        UNION
        {invalid}
    ) AS t
    WHERE t.agreement IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM variants AS x JOIN deliveries AS v ON v.account_no = x.account_no AND v.api = x.api
            AND v.identity = x.identity AND v.digest = x.digest
        WHERE x.origin = (:run_no << {ROW_BITS}) | t.row_no AND v.state = 'succeeded'
    )
) AS open_rows
GROUP BY agreement ORDER BY min(row_no) LIMIT {_LISTED}
"""


_OPEN_AGREEMENTS = Sql(_open_agreements_of(_INVALID_AGREEMENTS), postgresql=_open_agreements_of(_READ_AGREEMENTS))
# The file of a row and its number there.
_PLACE = """
SELECT i.name, w.source_row FROM rows AS w JOIN inputs AS i USING (run_no, file_no) WHERE w.run_no = ? AND w.row_no = ?
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    The totals that are asked for: from one day to another, both included, as 20261128.

    `agreements` limits them to these numbers, `account` to that of the config; None means all.
    """

    first: int
    last: int
    agreements: tuple[str, ...] | None = None
    account: str | None = None


def totals(connection: Connection, wanted: Wanted, read_row: ReadRow) -> Iterator[StatusTotals]:
    """Yield the totals by account, agreement and status, sorted by the first two; memory does not grow with them."""
    values = {
        "api": Api.CUMULATION,
        "first": wanted.first,
        "last": wanted.last,
        "account": wanted.account,
        "agreements": None if wanted.agreements is None else orjson.dumps(wanted.agreements).decode(),
    }
    if not _register(connection, read_row):
        values["invalid"] = _counted_invalid(connection, read_row)
    for account, agreement, status, *sums in stream(connection, _TOTALS, values):
        yield StatusTotals(account, agreement, Status(status), Measures(*sums[:4]), Measures(*sums[4:]))


def open_agreements(connection: Connection, run: RunRecord, read_row: ReadRow) -> OpenAgreements:
    """Return the agreements of a run with rows that are not final, in source order."""
    if run.api is not Api.CUMULATION:
        return OpenAgreements()
    values: dict[str, object] = {"run_no": run.run_no, "account_no": run.account_no, "api": run.api}
    if not _register(connection, read_row):
        cells = stream(connection, _INVALID_CELLS_OF_RUN, {"api": run.api, "run_no": run.run_no})
        values["invalid"] = json_of((row_no, _read(read_row, *row)[0]) for row_no, *row in cells)
    found = connection.execute(_OPEN_AGREEMENTS, values).fetchall()
    first = tuple(
        OpenAgreement(agreement, rows, *connection.execute(_PLACE, (run.run_no, row_no)).fetchone())
        for agreement, rows, row_no, _ in found
    )
    return OpenAgreements(found[0][3] if found else 0, first)


def _read(read_row: ReadRow, job: str, columns: str, cells: str | None) -> tuple[str | None, int | None]:
    return read_row(job, tuple(orjson.loads(columns)), tuple(orjson.loads(cells or "[]")))


def _counted_invalid(connection: Connection, read_row: ReadRow) -> str:
    """Return the newest invalid rows, counted by account, agreement and day, as JSON."""
    rows = stream(connection, _NEWEST_INVALID_CELLS, {"api": Api.CUMULATION})
    counts = Counter((account, *_read(read_row, *row)) for account, *row in rows)
    return json_of((*key, count) for key, count in counts.items())


def _register(connection: Connection, read_row: ReadRow) -> bool:
    """Make `read_row` a function of SQL, which returns agreement and day as a JSON list. PostgreSQL can't have it."""
    create_function = getattr(connection, "create_function", None)
    if create_function is None:
        return False

    def agreement_and_day(job: str, columns: str, cells: str | None) -> str:
        return orjson.dumps(_read(read_row, job, columns, cells)).decode()

    create_function("agreement_and_day", 3, agreement_and_day)
    return True
