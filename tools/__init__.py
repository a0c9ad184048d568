"""Programs for those who work on Callreel; none is needed to run it."""
