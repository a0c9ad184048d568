"""Sound in, masked sound out: sources, the obfuscator, encoders and virtual files."""
