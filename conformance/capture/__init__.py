"""From a captured exchange to a recording: what API it was, what must not be kept, what it is called.

Used by the recording proxy and by the imports. Does no network I/O. Imports the format and the transport's content
codings.
"""
