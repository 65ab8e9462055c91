"""The figures of a comparison: a module each, on shared panels and colours."""
