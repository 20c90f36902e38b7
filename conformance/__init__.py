"""Proof by replay: recorded streams under every delivery and fault, checked. Runs against any gateway or provider."""
