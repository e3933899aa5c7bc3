"""The command line: tables in, models and pictures out."""
