-- Experiments: a named question that can be run.
CREATE TABLE experiments (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    note        text,
    -- json, not jsonb: kept as it was written, to the last digit.
    query       json NOT NULL,
    revision    integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
-- The list filters by name and goes on after an id.
CREATE INDEX experiments_name_id ON experiments (name, id);

-- One row for each Idempotency-Key: its primary key is what makes a repeated POST one experiment.
-- No foreign key: the promise outlives the experiment.
CREATE TABLE idempotency_keys (
    key           text PRIMARY KEY,
    body_sha256   bytea NOT NULL,
    experiment_id uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING brin (created_at);

-- Runs: the queue and its results. A running row belongs to its holder until the lease ends.
CREATE TABLE runs (
    id            uuid PRIMARY KEY,
    experiment_id uuid NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    -- The question as it was when the run was asked for.
    query         json NOT NULL,
    request_key   text,
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'finished', 'failed')),
    -- Grows with each claim, so that an old holder cannot write over a new one.
    attempts      integer NOT NULL DEFAULT 0,
    holder        text,
    lease_until   timestamptz,
    answer        json,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    CHECK ((state = 'finished') = (answer IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
);
CREATE INDEX runs_open ON runs (created_at) WHERE state IN ('queued', 'running');
-- One open run for each experiment.
CREATE UNIQUE INDEX runs_one_open ON runs (experiment_id) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX runs_request_key ON runs (experiment_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX runs_latest ON runs (experiment_id, created_at DESC);
