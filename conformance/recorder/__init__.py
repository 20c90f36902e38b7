"""The recording proxy: passes requests on to one provider and keeps what came back.

`run` serves until it is told to stop; `Recorder` is the ASGI application; `exchange` is one request's life. Imports
`conformance.capture`, the transport of `providers` and the server of `proxy`.
"""
