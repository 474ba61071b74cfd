"""The database's shape, as migrations: each is one transaction, none is ever edited once released."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

#: one set per database kind; sqlite-utils keeps what was applied in ``_sqlite_migrations``
migrations = Migrations("libax_automate")

#: the states of a message that still ask for something
OPEN_STATES = ("waiting", "sending", "failed", "in_doubt")

_FIRST = """
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- pace and throttling belong to the credential: every app on it shares them
CREATE TABLE credentials (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  throttled_until REAL NOT NULL DEFAULT 0,
  throttles INTEGER NOT NULL DEFAULT 0,
  next_call REAL NOT NULL DEFAULT 0
);

CREATE TABLE apps (
  id INTEGER PRIMARY KEY,
  profile TEXT NOT NULL,
  name TEXT NOT NULL,
  connector TEXT NOT NULL DEFAULT '',
  credential_id INTEGER NOT NULL REFERENCES credentials(id),
  paused_at REAL,
  throttled_until REAL NOT NULL DEFAULT 0,
  sent INTEGER NOT NULL DEFAULT 0,
  refused TEXT NOT NULL DEFAULT '',
  probe_at REAL NOT NULL DEFAULT 0,
  UNIQUE (profile, name)
);

CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  profile TEXT NOT NULL,
  name TEXT NOT NULL,
  system INTEGER NOT NULL DEFAULT 0,
  enabled INTEGER,
  first_seen REAL NOT NULL,
  slot_bookmark REAL NOT NULL,
  bookmark REAL NOT NULL,
  baseline_at REAL,
  fingerprint TEXT NOT NULL DEFAULT '',
  UNIQUE (profile, name)
);

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model_id INTEGER NOT NULL REFERENCES models(id),
  slot TEXT NOT NULL,
  slot_at REAL NOT NULL,
  first_day TEXT NOT NULL,
  last_day TEXT NOT NULL,
  state TEXT NOT NULL,
  trigger TEXT NOT NULL DEFAULT 'schedule',
  tries INTEGER NOT NULL DEFAULT 0,
  not_before REAL NOT NULL DEFAULT 0,
  planned INTEGER NOT NULL DEFAULT 0,
  excluded INTEGER NOT NULL DEFAULT 0,
  queued INTEGER NOT NULL DEFAULT 0,
  bad_rows INTEGER NOT NULL DEFAULT 0,
  sent INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  counted TEXT,
  reason TEXT NOT NULL DEFAULT '',
  notices INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  started_at REAL,
  ended_at REAL,
  UNIQUE (model_id, slot)
);
CREATE INDEX tasks_open ON tasks(state) WHERE state IN ('due', 'running', 'failed', 'crashed');

-- why somebody was left out of a task, and which rows could not be read
CREATE TABLE remarks (
  id INTEGER PRIMARY KEY,
  task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  what TEXT NOT NULL
);
CREATE INDEX remarks_task ON remarks(task_id);

CREATE TABLE counters (
  profile TEXT NOT NULL,
  month TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  PRIMARY KEY (profile, month)
) WITHOUT ROWID;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL REFERENCES apps(id),
  model_id INTEGER NOT NULL REFERENCES models(id),
  task_id INTEGER REFERENCES tasks(id) ON DELETE SET NULL,
  step TEXT NOT NULL,
  person TEXT NOT NULL,
  occasion TEXT NOT NULL,
  channel TEXT NOT NULL,
  recipient TEXT NOT NULL,
  name TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL,
  not_before REAL NOT NULL,
  expires REAL,
  tries INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  error_id INTEGER,
  provider_id TEXT,
  reason TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL,
  ended_at REAL,
  activity TEXT,
  still TEXT,
  UNIQUE (model_id, step, person, occasion)
);
CREATE INDEX messages_waiting ON messages(app_id, not_before, id) WHERE state = 'waiting';
CREATE INDEX messages_open ON messages(app_id, state, id) WHERE state IN ('sending', 'failed', 'in_doubt');
CREATE INDEX messages_ended ON messages(ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE attempts (
  message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  key TEXT NOT NULL,
  hash BLOB NOT NULL,
  started_at REAL NOT NULL,
  ended_at REAL,
  outcome TEXT,
  detail TEXT,
  PRIMARY KEY (message_id, n)
) WITHOUT ROWID;

CREATE TABLE errors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  profile TEXT NOT NULL,
  app_id INTEGER NOT NULL REFERENCES apps(id),
  credential_id INTEGER REFERENCES credentials(id),
  class TEXT NOT NULL,
  cause TEXT NOT NULL,
  cause_key TEXT NOT NULL,
  hint TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  message_id INTEGER,
  opened_at REAL NOT NULL,
  closed_at REAL,
  resolution TEXT,
  notices INTEGER NOT NULL DEFAULT 0,
  next_notice REAL NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX errors_open ON errors(app_id, class, cause_key) WHERE closed_at IS NULL;
CREATE INDEX errors_credential ON errors(credential_id) WHERE closed_at IS NULL AND credential_id IS NOT NULL;
CREATE INDEX messages_error ON messages(error_id) WHERE error_id IS NOT NULL;

CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  what TEXT NOT NULL,
  restored_at REAL
);
CREATE TABLE batch_items (
  batch_id INTEGER NOT NULL REFERENCES batches(id) ON DELETE CASCADE,
  message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
  before TEXT NOT NULL,
  error_id INTEGER,
  PRIMARY KEY (batch_id, message_id)
) WITHOUT ROWID;

-- what people did, and when: an operator's verb is never anonymous in time
CREATE TABLE operations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  verb TEXT NOT NULL,
  target TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT ''
);

CREATE TABLE suppressions (
  profile TEXT NOT NULL,
  channel TEXT NOT NULL,
  address TEXT NOT NULL,
  reason TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (profile, channel, address)
) WITHOUT ROWID;
"""


@migrations()
def m001_first(db: Database) -> None:
    """Everything that the first release keeps."""
    _script(db, _FIRST)


_GUARDS = """
ALTER TABLE messages ADD COLUMN approval_id INTEGER;
CREATE INDEX messages_approval ON messages(approval_id) WHERE approval_id IS NOT NULL;

-- runs, or steps of runs, that wait for a person
CREATE TABLE approvals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model_id INTEGER NOT NULL REFERENCES models(id),
  task_id INTEGER REFERENCES tasks(id) ON DELETE SET NULL,
  why TEXT NOT NULL,
  opened_at REAL NOT NULL,
  decided_at REAL,
  verdict TEXT,
  notices INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX approvals_open ON approvals(id) WHERE decided_at IS NULL;

-- what people answered, in the order in which they did; never changed, never deleted
CREATE TABLE consents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  profile TEXT NOT NULL,
  person TEXT NOT NULL,
  answer TEXT NOT NULL,
  at REAL NOT NULL,
  channel TEXT NOT NULL DEFAULT '',
  text_version TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT ''
);
CREATE INDEX consents_person ON consents(profile, person, id);
"""


@migrations()
def m002_guards(db: Database) -> None:
    """Approvals and the consent ledger."""
    _script(db, _GUARDS)


_RECIPES = """
-- payment references, one per invoice and operator, for ever; without "at" a call began of which nobody saw the end
CREATE TABLE payment_references (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  profile TEXT NOT NULL,
  app TEXT NOT NULL,
  our_id TEXT NOT NULL,
  entity TEXT NOT NULL DEFAULT '',
  reference TEXT NOT NULL DEFAULT '',
  amount TEXT NOT NULL DEFAULT '0',
  currency TEXT NOT NULL DEFAULT 'EUR',
  due TEXT,
  provider_id TEXT,
  intended_at REAL NOT NULL,
  at REAL,
  UNIQUE (profile, app, our_id)
);
"""


@migrations()
def m003_recipes(db: Database) -> None:
    """Payment references."""
    _script(db, _RECIPES)


_DOCUMENTS = """
-- the last number taken of each series; a number is taken in the transaction that writes its document
CREATE TABLE series (
  profile TEXT NOT NULL,
  name TEXT NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (profile, name)
) WITHOUT ROWID;

-- what was numbered and printed, byte for byte; never changed but for "voided_at", never deleted
CREATE TABLE documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  profile TEXT NOT NULL,
  model_id INTEGER NOT NULL REFERENCES models(id),
  message_id INTEGER REFERENCES messages(id) ON DELETE SET NULL,
  series TEXT NOT NULL,
  n INTEGER NOT NULL,
  number TEXT NOT NULL,
  day TEXT NOT NULL,
  period TEXT NOT NULL,
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  total TEXT NOT NULL,
  currency TEXT NOT NULL,
  file TEXT NOT NULL,
  content BLOB NOT NULL,
  sha256 TEXT NOT NULL,
  created_at REAL NOT NULL,
  voided_at REAL,
  reason TEXT NOT NULL DEFAULT '',
  UNIQUE (profile, series, n),
  UNIQUE (profile, number)
);
CREATE INDEX documents_person ON documents(model_id, person);
CREATE INDEX documents_message ON documents(message_id) WHERE message_id IS NOT NULL;

-- the records that a document speaks of: each on one document of a model
CREATE TABLE document_records (
  model_id INTEGER NOT NULL REFERENCES models(id),
  record TEXT NOT NULL,
  document_id INTEGER NOT NULL REFERENCES documents(id),
  PRIMARY KEY (model_id, record)
) WITHOUT ROWID;
"""


@migrations()
def m004_documents(db: Database) -> None:
    """Numbered documents."""
    _script(db, _DOCUMENTS)


def _script(db: Database, sql: str) -> None:
    """Run statements one by one: ``executescript`` would commit the migration's transaction first."""
    for statement in sql.split(";\n"):
        if statement.strip():
            db.execute(statement)
