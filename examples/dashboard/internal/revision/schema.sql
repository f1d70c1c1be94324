-- The tables of all backends but maintenances, which has its own schema with the tables "system" and
-- "subscription". SQLite and PostgreSQL take it alike, but for the words in capitals with underscores.
-- Times are milliseconds since 1970.

CREATE TABLE IF NOT EXISTS counter (n BIGINT NOT NULL);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);

CREATE TABLE IF NOT EXISTS revision (name KEY_TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL);
INSERT INTO revision (name, version)
VALUES ('catalog', 0), ('views', 0), ('incidents', 0), ('objectives', 0), ('anomalies', 0), ('baselines', 0), ('announcements', 0)
ON CONFLICT (name) DO NOTHING;

-- health checks
CREATE TABLE IF NOT EXISTS health_check (
  system_id   KEY_TEXT NOT NULL PRIMARY KEY REFERENCES system (id) ON DELETE CASCADE,
  max_latency BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS satellite (id KEY_TEXT NOT NULL PRIMARY KEY);
CREATE TABLE IF NOT EXISTS association (
  system_id    KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  satellite_id KEY_TEXT NOT NULL REFERENCES satellite (id) ON DELETE CASCADE,
  PRIMARY KEY (system_id, satellite_id)
);
CREATE TABLE IF NOT EXISTS result (
  system_id    KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  satellite_id KEY_TEXT NOT NULL REFERENCES satellite (id) ON DELETE CASCADE,
  ok           BIGINT NOT NULL,
  latency      BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  PRIMARY KEY (system_id, satellite_id)
);
CREATE TABLE IF NOT EXISTS result_day ( -- for the objectives
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  day       BIGINT NOT NULL,
  good      BIGINT NOT NULL,
  total     BIGINT NOT NULL,
  PRIMARY KEY (system_id, day)
);

-- incidents
CREATE TABLE IF NOT EXISTS incident (
  id       NEW_ID,
  status   TEXT NOT NULL,
  document TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS incident_system (
  system_id   KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  incident_id BIGINT NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  PRIMARY KEY (system_id, incident_id)
);
CREATE INDEX IF NOT EXISTS incident_systems ON incident_system (incident_id);

-- catalog
CREATE TABLE IF NOT EXISTS system_group (id KEY_TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS membership (
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  group_id  KEY_TEXT NOT NULL REFERENCES system_group (id) ON DELETE CASCADE,
  PRIMARY KEY (system_id, group_id)
);
CREATE TABLE IF NOT EXISTS catalog_view (id KEY_TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, group_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS contact (
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  user_id   KEY_TEXT NOT NULL,
  role      TEXT NOT NULL,
  PRIMARY KEY (system_id, user_id)
);

-- objectives
CREATE TABLE IF NOT EXISTS objective (
  id        NEW_ID,
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  document  TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objective_system ON objective (system_id);

-- anomalies
CREATE TABLE IF NOT EXISTS anomaly (
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  metric    KEY_TEXT NOT NULL,
  state     TEXT NOT NULL,
  value     BIGINT NOT NULL,
  at        BIGINT NOT NULL,
  PRIMARY KEY (system_id, metric)
);
CREATE TABLE IF NOT EXISTS baseline (
  system_id KEY_TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  metric    KEY_TEXT NOT NULL,
  mean      BIGINT NOT NULL,
  deviation BIGINT NOT NULL,
  PRIMARY KEY (system_id, metric)
);

-- notifications
CREATE TABLE IF NOT EXISTS user_group (
  group_id KEY_TEXT NOT NULL,
  user_id  KEY_TEXT NOT NULL,
  PRIMARY KEY (group_id, user_id)
);
CREATE TABLE IF NOT EXISTS notification (
  id      NEW_ID,
  user_id KEY_TEXT NOT NULL,
  text    TEXT NOT NULL,
  at      BIGINT NOT NULL,
  seen    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS notification_user ON notification (user_id, id);

-- announcements
CREATE TABLE IF NOT EXISTS announcement (id NEW_ID, title TEXT NOT NULL, level TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dismissal (
  user_id         KEY_TEXT NOT NULL,
  announcement_id BIGINT NOT NULL REFERENCES announcement (id) ON DELETE CASCADE,
  PRIMARY KEY (user_id, announcement_id)
);
