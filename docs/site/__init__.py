"""
The documentation site: `make docs`.

- `pages`: the pages of the site, put together from the documents of the repository
- `markdown`: links, lists, diagrams and sections of a document, as the site needs them
- `reference`: pages that are made from the parser, the schemas and the catalogue of codes
- `search`: words for the search of Chinese text
- `words`: Chinese for the texts of the reference

`mkdocs.yml` has the look of the site, `start.md` its first page, `diagrams.py` draws the diagrams.
"""
