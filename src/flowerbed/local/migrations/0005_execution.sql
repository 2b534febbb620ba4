-- How the processes of a SuperExec's apps begin, as it said last, and why.
ALTER TABLE components ADD COLUMN execution     TEXT NOT NULL DEFAULT '';
ALTER TABLE components ADD COLUMN execution_why TEXT NOT NULL DEFAULT '';
