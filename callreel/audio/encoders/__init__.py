"""One module per output format, and the bindings that they need."""
