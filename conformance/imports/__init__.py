"""Recordings made of what other tools wrote. One module a format; each turns a file into entries.

`import_files` scrubs and saves them. Imports `conformance.capture`, and the tally of the recorder. To add a format,
write a module with a `read` like theirs and name it in `READERS`.
"""

from conformance.imports.run import READERS, import_files

__all__ = ["READERS", "import_files"]
"""What the command needs."""
