-- The index of recordings: each node keeps those whose folders it has. Times are Unix milliseconds;
-- `manifest` is JSON that the server writes and reads; `finished` is 0 or 1.
CREATE TABLE recordings (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    room TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    manifest TEXT NOT NULL
);
CREATE INDEX recordings_by_room ON recordings (room, started_at);
CREATE INDEX recordings_by_start ON recordings (started_at);
CREATE INDEX recordings_by_node ON recordings (node, id);
