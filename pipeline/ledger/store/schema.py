"""The ledger's tables, and the steps between versions. docs/ledger.md says what a line of each table means."""

# Marks an SQLite file as a ledger of backfill, in the file's header: the letters b f i l.
APPLICATION_ID = 0x6266696C

_VERSION_1 = """
CREATE TABLE accounts (
    account_no INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    holder     TEXT NOT NULL
);
CREATE TABLE jobs (
    job        TEXT PRIMARY KEY,
    run_id     TEXT NOT NULL,
    fence      INTEGER NOT NULL,
    holder     TEXT NOT NULL,
    expires_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
    run_no      INTEGER PRIMARY KEY,
    run_id      TEXT NOT NULL UNIQUE,
    job         TEXT NOT NULL,
    export      TEXT NOT NULL,
    api         TEXT NOT NULL,
    account     TEXT NOT NULL,
    account_no  INTEGER NOT NULL REFERENCES accounts,
    parent      TEXT,
    options     TEXT NOT NULL,
    act         TEXT NOT NULL,
    state       TEXT,
    exit_code   INTEGER,
    reason      TEXT,
    throttled   INTEGER NOT NULL DEFAULT 0,
    limit_per_s REAL NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    elapsed_s   REAL NOT NULL DEFAULT 0,
    sending_s   REAL NOT NULL DEFAULT 0
);
CREATE TABLE inputs (
    run_no   INTEGER NOT NULL REFERENCES runs,
    file_no  INTEGER NOT NULL,
    name     TEXT NOT NULL,
    location TEXT NOT NULL,
    columns  TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    PRIMARY KEY (run_no, file_no)
) WITHOUT ROWID;
CREATE TABLE rows (
    run_no      INTEGER NOT NULL REFERENCES runs,
    row_no      INTEGER NOT NULL,
    file_no     INTEGER NOT NULL,
    source_row  INTEGER NOT NULL,
    request_key TEXT,
    status      TEXT,
    code        TEXT,
    message     TEXT,
    cells       TEXT,
    PRIMARY KEY (run_no, row_no)
) WITHOUT ROWID;
CREATE TABLE packs (
    run_no       INTEGER NOT NULL REFERENCES runs,
    first_row_no INTEGER NOT NULL,
    last_row_no  INTEGER NOT NULL,
    file_no      INTEGER NOT NULL,
    status       TEXT NOT NULL,
    code         TEXT NOT NULL,
    message      TEXT NOT NULL,
    rows         BLOB NOT NULL,
    PRIMARY KEY (run_no, first_row_no)
) WITHOUT ROWID;
CREATE INDEX rows_invalid_by_key ON rows (request_key) WHERE status = 'invalid';
CREATE TABLE dues (
    due_no        INTEGER PRIMARY KEY,
    run_no        INTEGER NOT NULL REFERENCES runs,
    row_no        INTEGER NOT NULL,
    part          INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    request_key   TEXT NOT NULL,
    identity      TEXT NOT NULL,
    key_is_derived INTEGER NOT NULL,
    digest        BLOB NOT NULL,
    body          BLOB,
    lane          BLOB NOT NULL,
    refund_of     TEXT,
    card          BLOB,
    points        INTEGER,
    version       TEXT,
    status        TEXT,
    code          TEXT,
    message       TEXT,
    http_status   INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 0,
    first_sent_at TEXT,
    finished_at   TEXT,
    latency_ms    INTEGER,
    trace_id      TEXT,
    wants_new_key INTEGER NOT NULL DEFAULT 0,
    is_open       INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX dues_by_row ON dues (run_no, row_no, part);
CREATE INDEX dues_by_identity ON dues (identity, run_no);
CREATE INDEX dues_by_card ON dues (card, position) WHERE card IS NOT NULL;
CREATE INDEX dues_open_by_card ON dues (card)
    WHERE card IS NOT NULL AND coalesce(status, '') NOT IN ('succeeded', 'skipped');
CREATE TABLE deliveries (
    account_no INTEGER NOT NULL REFERENCES accounts,
    api        TEXT NOT NULL,
    identity   TEXT NOT NULL,
    digest     BLOB NOT NULL,
    state      TEXT NOT NULL,
    due_no     INTEGER NOT NULL,
    successor  TEXT,
    PRIMARY KEY (account_no, api, identity)
) WITHOUT ROWID;
CREATE TABLE cards (
    account_no       INTEGER NOT NULL REFERENCES accounts,
    card             BLOB NOT NULL,
    confirmed_points INTEGER,
    unsettled        INTEGER NOT NULL,
    newest_identity  TEXT NOT NULL,
    newest_version   TEXT,
    newest_position  INTEGER NOT NULL,
    before_identity  TEXT,
    before_version   TEXT,
    before_position  INTEGER,
    before_unsettled INTEGER,
    PRIMARY KEY (account_no, card)
) WITHOUT ROWID;
"""

_WAITS = "ALTER TABLE runs ADD COLUMN waits TEXT NOT NULL DEFAULT '[]'"

# The line of the file where a row begins, and the fault of an invalid row: field, column, the broken rule, by which
# faults are grouped, and the value as it may be shown.
_FAULTS = """
ALTER TABLE rows ADD COLUMN file_line INTEGER;
ALTER TABLE rows ADD COLUMN field TEXT;
ALTER TABLE rows ADD COLUMN heading TEXT;
ALTER TABLE rows ADD COLUMN rule TEXT;
ALTER TABLE rows ADD COLUMN value TEXT;
"""

# Fixed rows: their origins, the deliveries of their variants, and the contents by which an export's row is recognised.
_FIXES = """
CREATE TABLE origins (
    run_no        INTEGER NOT NULL REFERENCES runs,
    row_no        INTEGER NOT NULL,
    origin_run_no INTEGER NOT NULL,
    origin_row_no INTEGER NOT NULL,
    PRIMARY KEY (run_no, row_no)
) WITHOUT ROWID;
CREATE INDEX origins_by_origin ON origins (origin_run_no, origin_row_no);
CREATE TABLE variants (
    account_no INTEGER NOT NULL REFERENCES accounts,
    api        TEXT NOT NULL,
    origin     INTEGER NOT NULL,
    variant    INTEGER NOT NULL,
    part       INTEGER NOT NULL,
    identity   TEXT NOT NULL,
    digest     BLOB NOT NULL,
    card       BLOB,
    points     INTEGER,
    version    TEXT,
    PRIMARY KEY (origin, variant, part, identity, digest)
) WITHOUT ROWID;
CREATE INDEX variants_by_place ON variants (variant);
CREATE INDEX variants_by_digest ON variants (digest);
CREATE TABLE contents (
    account_no  INTEGER NOT NULL REFERENCES accounts,
    api         TEXT NOT NULL,
    content     BLOB NOT NULL,
    origin      INTEGER NOT NULL,
    variant     INTEGER NOT NULL,
    request_key TEXT,
    PRIMARY KEY (account_no, api, content, variant)
) WITHOUT ROWID;
CREATE INDEX contents_by_place ON contents (variant)
"""

# `known_traces` are names of runs and generations, in reports and marks, that are no sign of a loss.
_GENERATIONS = """
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    begun_at   TEXT NOT NULL,
    sequence   INTEGER NOT NULL DEFAULT 0
);
INSERT INTO generations (name, begun_at) VALUES (lower(hex(randomblob(16))), '');
CREATE TABLE known_traces (
    name   TEXT PRIMARY KEY,
    run_no INTEGER
) WITHOUT ROWID;
CREATE TABLE new_accounts (
    account_no INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    holder     TEXT NOT NULL,
    generation INTEGER NOT NULL REFERENCES generations,
    UNIQUE (name, generation)
);
INSERT INTO new_accounts SELECT account_no, name, holder, 1 FROM accounts;
DROP TABLE accounts;
ALTER TABLE new_accounts RENAME TO accounts;
ALTER TABLE runs ADD COLUMN concluded_at TEXT;
UPDATE runs SET concluded_at = finished_at;
"""

# The encoding of each input; null where the format defines it, and for runs before this version.
_INPUT_ENCODING = "ALTER TABLE inputs ADD COLUMN encoding TEXT"

# The identity of a state becomes `<out_biz_no> <out_principal_id> <run and row>`, with char(31) between; before it was
# `<out_biz_no>/<biz_state_code>`. The principal of delivered states is empty: their bodies were deleted. A state of
# several runs gets the position of the newest one.
_OBJECTS = """
ALTER TABLE dues ADD COLUMN object TEXT;
CREATE TABLE objects (
    account_no      INTEGER NOT NULL REFERENCES accounts,
    object          TEXT NOT NULL,
    identity        TEXT NOT NULL,
    digest          BLOB NOT NULL,
    version         TEXT,
    position        INTEGER NOT NULL,
    unsettled       INTEGER NOT NULL,
    before_identity TEXT,
    before_digest   BLOB,
    before_version  TEXT,
    before_position INTEGER,
    PRIMARY KEY (account_no, object)
) WITHOUT ROWID;
CREATE TEMP TABLE renamed AS
    SELECT *, object || char(31) || printf('%08x%010x', position >> 40, position & 0xffffffffff) AS identity FROM (
        SELECT r.account_no, d.identity AS old, max(d.position) AS position, d.request_key || char(31)
            || coalesce(max(json_extract(CAST(d.body AS TEXT), '$.out_principal_id')), '') AS object
        FROM dues AS d JOIN runs AS r USING (run_no) WHERE r.api = 'alipay.state' GROUP BY r.account_no, d.identity
    );
CREATE INDEX temp.renamed_by_old ON renamed (old, account_no);
UPDATE deliveries SET identity = n.identity FROM temp.renamed AS n
    WHERE deliveries.api = 'alipay.state' AND n.old = deliveries.identity AND n.account_no = deliveries.account_no;
UPDATE dues SET object = n.object, identity = n.identity FROM temp.renamed AS n, runs AS r
    WHERE r.run_no = dues.run_no AND r.api = 'alipay.state' AND n.old = dues.identity AND n.account_no = r.account_no;
UPDATE variants SET identity = n.identity FROM temp.renamed AS n
    WHERE variants.api = 'alipay.state' AND n.old = variants.identity AND n.account_no = variants.account_no;
INSERT INTO objects (account_no, object, identity, digest, position, unsettled)
    SELECT v.account_no, n.object, v.identity, v.digest, max(n.position), v.state <> 'succeeded'
    FROM temp.renamed AS n JOIN deliveries AS v ON v.account_no = n.account_no AND v.api = 'alipay.state'
        AND v.identity = n.identity
    WHERE v.state IN ('succeeded', 'sending', 'unknown') GROUP BY v.account_no, n.object;
DROP TABLE temp.renamed;
CREATE INDEX dues_open_by_object ON dues (object, status)
    WHERE object IS NOT NULL AND coalesce(status, '') NOT IN ('succeeded', 'skipped');
"""

# For a state: the position of the last row that says the same, if a later row does. `position` is that of its own row.
_LAST_POSITION = "ALTER TABLE dues ADD COLUMN last_position INTEGER"

# `intended_at` is the time of the last intent, in seconds since 1970; null in earlier lines until their run is pruned.
# `row_key` is the request key of a row with several deliveries, written when the row is pruned. `pruned_runs` are
# deleted runs that still have lines in other tables.
_PRUNING = """
ALTER TABLE deliveries ADD COLUMN intended_at INTEGER;
ALTER TABLE deliveries ADD COLUMN row_key TEXT;
CREATE TABLE pruned_runs (
    run_no     INTEGER PRIMARY KEY,
    account_no INTEGER NOT NULL,
    api        TEXT NOT NULL,
    export     TEXT NOT NULL,
    started_at TEXT NOT NULL
)
"""

# The body of an account's newest report to Zhima Go whose answer was verified: `reconcile` looks for it first.
_CONFIRMED_REPORT = "ALTER TABLE accounts ADD COLUMN confirmed_report BLOB"
# What a delivery of orders or tasks adds to the totals of its agreement: see `rules/measures.py`. Amounts are in fen.
# Deliveries confirmed before have nulls, since their bodies were deleted. `dues_open` has the dues of orders and tasks
# that are not done.
_MEASURES = """
ALTER TABLE deliveries ADD COLUMN agreement TEXT;
ALTER TABLE deliveries ADD COLUMN biz_day INTEGER;
ALTER TABLE deliveries ADD COLUMN direction INTEGER;
ALTER TABLE deliveries ADD COLUMN tasks INTEGER;
ALTER TABLE deliveries ADD COLUMN amount INTEGER;
ALTER TABLE deliveries ADD COLUMN discount INTEGER;
CREATE INDEX dues_open ON dues (run_no)
    WHERE card IS NULL AND object IS NULL AND coalesce(status, '') NOT IN ('succeeded', 'skipped');
UPDATE deliveries SET (agreement, biz_day, direction, tasks, amount, discount) = (
    SELECT json_extract(said, '$.agreement_no'),
        CAST(replace(substr(json_extract(said, '$.biz_time'), 1, 10), '-', '') AS INTEGER),
        iif(json_extract(said, '$.biz_action') = 'ORDER_REFUND', -1, 1),
        json_extract(said, '$.task_type_data') IS NOT NULL,
        CAST(replace(json_extract(said, '$.amount_type_data.trade_info.amount'), '.', '') AS INTEGER),
        (SELECT sum(CAST(replace(json_extract(value, '$.discount_amount'), '.', '') AS INTEGER))
            FROM json_each(said, '$.amount_type_data.out_discount_infos'))
    FROM (SELECT CAST(d.body AS TEXT) AS said FROM dues AS d WHERE d.due_no = deliveries.due_no)
)
WHERE api = 'alipay.cumulation' AND state <> 'succeeded'
"""
# When the newest balance of a card was first about to be sent, in seconds since 1970; null where that is not known.
_SENT_AT = "ALTER TABLE cards ADD COLUMN sent_at INTEGER"

# Step n migrates a ledger from version n to n + 1. A released step never changes.
MIGRATIONS = (
    _VERSION_1,
    _WAITS,
    _FAULTS,
    _FIXES,
    _GENERATIONS,
    _INPUT_ENCODING,
    _OBJECTS,
    _LAST_POSITION,
    _PRUNING,
    _CONFIRMED_REPORT,
    _MEASURES,
    _SENT_AT,
)
VERSION = len(MIGRATIONS)
