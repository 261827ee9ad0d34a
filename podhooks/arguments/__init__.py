"""How programs read their command line: `podhooks COMMAND` and the operator."""
