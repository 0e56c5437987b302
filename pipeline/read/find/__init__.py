"""
The files that a job's inputs mean.

`inputs` is the entry. `local` and `remote` list files, `folders` holds the rules for names in a folder,
`date_patterns` fills in `{date}`, `folder_checks` refuses incomplete exports and lake tables. `claimed` names
the files that the command must not overwrite. It imports `read.files` only.
"""
