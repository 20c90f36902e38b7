"""`python -m conformance`: the same as `triway conformance`."""

from conformance.cli import conformance

if __name__ == "__main__":
    conformance(prog_name="triway conformance")
