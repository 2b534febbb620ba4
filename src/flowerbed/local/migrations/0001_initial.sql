-- What runs, what happened, what was asked for, and the history of runs.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE components (
    name      TEXT PRIMARY KEY,
    unit      TEXT NOT NULL,
    role      TEXT NOT NULL,
    position  INTEGER NOT NULL,
    state     TEXT NOT NULL,
    pid       INTEGER,
    restarts  INTEGER NOT NULL DEFAULT 0,
    addresses TEXT NOT NULL DEFAULT '{}',
    note      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL,
    state   TEXT NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'done', 'refused')),
    answer  TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE runs (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    flower_id    TEXT UNIQUE,
    app          TEXT NOT NULL,
    phase        TEXT NOT NULL,
    outcome      TEXT NOT NULL DEFAULT '',
    verdict      TEXT,
    reason       TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    rounds       TEXT NOT NULL DEFAULT '[]',
    total_rounds INTEGER,
    config       TEXT NOT NULL DEFAULT '{}',
    timeout      REAL,
    submitted_at REAL,
    finished_at  REAL,
    results      TEXT
) STRICT;
