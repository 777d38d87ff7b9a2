/** The tables, as forward steps: step n brings a store from version n to n + 1. Steps are only ever added. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    exchange TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decisions TEXT NOT NULL DEFAULT '[]',
    outcome TEXT,
    writer TEXT
  );
  CREATE INDEX holds_by_age ON holds (created_at DESC, id DESC);
  CREATE INDEX holds_by_expiry ON holds (state, expires_at);
  CREATE TABLE keys (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    exchange TEXT NOT NULL,
    claimed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    writer TEXT NOT NULL,
    PRIMARY KEY (issuer, subject, key)
  );
  CREATE INDEX keys_by_expiry ON keys (expires_at);
  CREATE TABLE pulse (writer TEXT PRIMARY KEY, at BIGINT NOT NULL);
  `,
  // Listings by state: without it, finding the few that are pending reads all that ever were.
  'CREATE INDEX holds_by_state ON holds (state, created_at DESC, id DESC)',
  // Budgets: what is used of each day's, and for each job what it was charged, so that the truth can take its place.
  `
  CREATE TABLE budgets (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    day TEXT NOT NULL,
    budget TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject, connection, day, budget)
  );
  CREATE INDEX budgets_by_day ON budgets (day);
  CREATE TABLE reservations (
    job TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    day TEXT NOT NULL,
    account TEXT NOT NULL,
    keep_until BIGINT NOT NULL
  );
  CREATE INDEX reservations_by_age ON reservations (keep_until);
  `,
  // Whose they are, to count those that are pending.
  `
  ALTER TABLE holds ADD COLUMN issuer TEXT;
  ALTER TABLE holds ADD COLUMN subject TEXT;
  UPDATE holds SET
    issuer = json_extract(exchange, '$.principal.issuer'),
    subject = json_extract(exchange, '$.principal.subject')
  WHERE json_valid(exchange);
  CREATE INDEX holds_by_principal ON holds (state, issuer, subject, expires_at);
  `,
  // What was asked, so that the same that is asked again finds its hold.
  `
  ALTER TABLE holds ADD COLUMN request TEXT;
  CREATE UNIQUE INDEX holds_by_request ON holds (issuer, subject, request)
    WHERE request IS NOT NULL AND state IN ('pending', 'approved');
  `,
]

/** The same for PostgreSQL. Texts are compared byte by byte, as SQLite does: ids sort as they were made. */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE holds (
    id TEXT COLLATE "C" PRIMARY KEY,
    state TEXT NOT NULL,
    exchange TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decisions TEXT NOT NULL DEFAULT '[]',
    outcome TEXT,
    writer TEXT,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    request TEXT
  );
  CREATE UNIQUE INDEX holds_by_request ON holds (issuer, subject, request)
    WHERE request IS NOT NULL AND state IN ('pending', 'approved');
  CREATE INDEX holds_by_age ON holds (created_at DESC, id DESC);
  CREATE INDEX holds_by_state ON holds (state, created_at DESC, id DESC);
  CREATE INDEX holds_by_expiry ON holds (state, expires_at);
  CREATE INDEX holds_by_principal ON holds (state, issuer, subject, expires_at);
  CREATE TABLE keys (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    exchange TEXT NOT NULL,
    claimed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    writer TEXT NOT NULL,
    PRIMARY KEY (issuer, subject, key)
  );
  CREATE INDEX keys_by_expiry ON keys (expires_at);
  CREATE TABLE budgets (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    budget TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject, connection, day, budget)
  );
  CREATE INDEX budgets_by_day ON budgets (day);
  CREATE TABLE reservations (
    job TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    day TEXT NOT NULL,
    account TEXT NOT NULL,
    keep_until BIGINT NOT NULL
  );
  CREATE INDEX reservations_by_age ON reservations (keep_until);
  CREATE TABLE pulse (writer TEXT PRIMARY KEY, at BIGINT NOT NULL);
  `,
]
