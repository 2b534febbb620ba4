-- Whether somebody else than Flowerbed submitted a run (`flwr run`), and what an unfinished run waits for.
ALTER TABLE runs ADD COLUMN is_foreign INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN waits_for  TEXT NOT NULL DEFAULT '';
