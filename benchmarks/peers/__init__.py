"""Peers that are programs of this repository: what others would write instead of Callreel."""
