"""Arrays of the caller: checked, laid out, and read for the steps of a call."""
