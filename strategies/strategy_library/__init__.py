"""The strategies that come with it, one module each; the module's name is the builtin's."""
