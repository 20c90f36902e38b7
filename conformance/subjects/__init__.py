"""What can be tested: a provider class in process, this gateway over HTTP, any URL."""
