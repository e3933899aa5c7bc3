"""Finding what went wrong: measures of a graph, badges, findings, `diagnose` and `debug`."""
