"""Who may do what: identities, scopes, keys and tokens; no HTTP, no SQL."""
