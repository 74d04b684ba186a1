"""The parts of an evaluation, by docs/protocol.md: its rows, numbers, tables, figures."""
