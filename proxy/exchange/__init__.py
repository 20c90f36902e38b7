"""One request from its body to its log line: reading, answering, streaming, failing, recording."""
