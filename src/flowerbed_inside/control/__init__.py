"""The control client: it speaks to a SuperLink, whatever its release, and answers with JSON."""
