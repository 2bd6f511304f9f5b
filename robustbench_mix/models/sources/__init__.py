"""Where networks come from, one file for each kind of model word."""
