-- Times are text in UTC with milliseconds and always have the same length. They
-- compare as text, are readable in the database, and are valid in JSON unchanged.

CREATE TABLE IF NOT EXISTS database_id (
  id TEXT NOT NULL
) STRICT;

INSERT INTO database_id
SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM database_id);

CREATE TABLE IF NOT EXISTS system (
  id   TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL
) STRICT;

-- AUTOINCREMENT: the id of a deleted maintenance is never used again.
CREATE TABLE IF NOT EXISTS maintenance (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  version     INTEGER NOT NULL,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('planned', 'in_progress', 'completed', 'cancelled')),
  start_at    TEXT NOT NULL,
  end_at      TEXT NOT NULL CHECK (end_at >= start_at),
  created_by  TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS maintenance_by_start ON maintenance (start_at, id);

CREATE TABLE IF NOT EXISTS maintenance_system (
  maintenance_id INTEGER NOT NULL REFERENCES maintenance (id) ON DELETE CASCADE,
  system_id      TEXT NOT NULL REFERENCES system (id),
  PRIMARY KEY (maintenance_id, system_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS maintenance_by_system ON maintenance_system (system_id, maintenance_id);

CREATE TABLE IF NOT EXISTS maintenance_update (
  maintenance_id INTEGER NOT NULL REFERENCES maintenance (id) ON DELETE CASCADE,
  number         INTEGER NOT NULL,
  at             TEXT NOT NULL,
  author         TEXT NOT NULL,
  message        TEXT NOT NULL,
  status         TEXT NOT NULL,
  PRIMARY KEY (maintenance_id, number)
) STRICT, WITHOUT ROWID;

-- Who wants to be told of the maintenances of a system.
CREATE TABLE IF NOT EXISTS subscription (
  user_id   TEXT NOT NULL,
  system_id TEXT NOT NULL REFERENCES system (id) ON DELETE CASCADE,
  PRIMARY KEY (user_id, system_id)
) STRICT, WITHOUT ROWID;

-- A maintenance with its systems and updates is one JSON document, so that every
-- read of the service is one query. json() marks the arrays as JSON: the result of a
-- subquery is plain text, which would be quoted.
CREATE VIEW IF NOT EXISTS maintenance_document AS
SELECT
  m.*,
  json_object(
    'id', m.id,
    'version', m.version,
    'title', m.title,
    'description', m.description,
    'status', m.status,
    'start', m.start_at,
    'end', m.end_at,
    'created_by', m.created_by,
    'system_ids', json((
      SELECT json_group_array(s.system_id ORDER BY s.system_id)
      FROM maintenance_system s WHERE s.maintenance_id = m.id)),
    'updates', json((
      SELECT json_group_array(
        json_object('at', u.at, 'author', u.author, 'message', u.message, 'status', u.status)
        ORDER BY u.number)
      FROM maintenance_update u WHERE u.maintenance_id = m.id))
  ) AS document
FROM maintenance m;
