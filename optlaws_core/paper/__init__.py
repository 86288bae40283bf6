"""A comparison for a paper: figures as PDF, SVG and PNG, the ranking as LaTeX and Markdown, BibTeX of its laws."""
