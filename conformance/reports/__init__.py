"""Reports: the terminal, JUnit XML, JSON, and one HTML page. Pure functions from a `Report` to text."""
