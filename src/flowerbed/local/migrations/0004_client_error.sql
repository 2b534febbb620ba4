-- The first error that a SuperNode replied with, in one line that names it.
ALTER TABLE runs ADD COLUMN client_error TEXT NOT NULL DEFAULT '';
