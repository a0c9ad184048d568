"""Where recordings lie: local disk now, other stores behind the same protocol."""
