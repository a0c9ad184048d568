"""Pages for people: what a browser shows. Programs use ``web/api.py``."""
