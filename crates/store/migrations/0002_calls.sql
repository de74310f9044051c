-- The directory of the call system and the records of its calls. `settings` and `record` are JSON that
-- the server writes and reads; times are Unix milliseconds.
CREATE TABLE call_tenants (
    id TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL
);

CREATE TABLE call_users (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    record TEXT NOT NULL,
    password TEXT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE call_groups (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE call_bans (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    until BIGINT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE call_records (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    ended_at BIGINT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX call_records_by_end ON call_records (tenant, ended_at);

-- Recordings that were ready after the end of their call.
CREATE TABLE call_recordings (
    call TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (call, url)
);
