"""The one trainer, for whatever learns: processes, steps, state, log."""
