"""Wire formats: codecs with no I/O, one folder for each API, both directions in it.

Providers use a wire's request encoder and response decoders; client APIs use its request decoder and response encoders.
Imports only the model and the errors.
"""
