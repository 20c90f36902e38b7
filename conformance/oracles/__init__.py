"""What is right: the official SDKs where there is one, else the suite's own reading of the recorded bytes."""
