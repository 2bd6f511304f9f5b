"""The sources of networks, one file for each kind of model word."""
