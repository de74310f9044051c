-- Calls that were answered and have not ended, as their records would be if their server were lost; what
-- a server finds here of its own when it starts are calls that it lost.
CREATE TABLE call_begun (
    node TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (node, id)
);
