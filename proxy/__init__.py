"""The client side: the app, client APIs, routing, configuration, server and command. Imports providers/."""
