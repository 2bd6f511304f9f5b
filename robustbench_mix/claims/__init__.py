"""The claims of the paper, tested on the records, and the pages that show them."""
