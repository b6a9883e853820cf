"""The questions of the exercises, a module each."""
