-- What the SuperLink counted of a run: replies of each SuperNode (NULL where nobody counted), and which name goes with
-- which of Flower's node ids.
ALTER TABLE runs ADD COLUMN replies TEXT;
ALTER TABLE runs ADD COLUMN nodes   TEXT NOT NULL DEFAULT '{}';
