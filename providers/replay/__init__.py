"""Recorded answers: their format, the ones this package brings along, and the provider that plays them.

`recording` alone reads and writes the format. Imports the model, the errors and, when a wire is asked for, its codec.
"""
