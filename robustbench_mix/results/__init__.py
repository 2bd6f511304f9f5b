"""What came out: records, and the tables and plots that follow from them."""
