"""The machine, which knows no operation by name: records, dispatch, tape, modes, generator."""
