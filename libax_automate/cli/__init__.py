"""The command line: one file per noun, imported when that noun is typed."""
