-- Occurrences of rooms and what was measured in them. Times are Unix milliseconds; `summary` and
-- `sample` are JSON that the server writes and reads.
CREATE TABLE history_occurrences (
    id TEXT NOT NULL PRIMARY KEY,
    room TEXT NOT NULL,
    node TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    reason TEXT,
    summary TEXT
);
CREATE INDEX history_occurrences_by_room ON history_occurrences (room, started_at);
CREATE INDEX history_occurrences_by_start ON history_occurrences (started_at);

CREATE TABLE history_points (
    occurrence TEXT NOT NULL,
    step_s BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sample TEXT NOT NULL,
    PRIMARY KEY (occurrence, step_s, at)
);
CREATE INDEX history_points_by_age ON history_points (step_s, at);
