"""The parts of the HTML report: tables, charts, pictures, and the images behind each run."""
