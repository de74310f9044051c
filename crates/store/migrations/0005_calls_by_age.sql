-- Records of calls go when they are old, whoever's they are.
CREATE INDEX call_records_by_age ON call_records (ended_at);
