"""The plugins that come with Triway, one a module or folder. Named in `proxy.plugins.BUILTIN_PLUGINS`."""
