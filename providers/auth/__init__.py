"""Credentials that a fixed header cannot carry: signatures over a request, and what expires and is fetched anew.

Each module belongs to one cloud and imports that cloud's library, an extra, when it is used. Imports the errors.
"""
