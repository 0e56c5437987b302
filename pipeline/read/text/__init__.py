"""
The text of CSV and JSON lines.

`text_file` is the entry. `lines` cuts bytes at line feeds, `decoder` decodes blocks. `likely_encoding` chooses between
UTF-8 and GB18030 by single lines, `ambiguous_encoding` by the whole file. It imports `read.files` and `read.ports`.
"""
