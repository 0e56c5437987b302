"""
The report of a run, and what else is written for people.

Read in this order:

- `reporting`, `page_context`: report folder, and the context of `report.html`
- `shared_outcomes`, `part_writers`: outcomes that several processes write into one report: the driver, and the others
- `protected_files`: files that no command may overwrite
- `totals`: totals of agreements
- `nothing_done`: the result of reruns and resumes without rows
"""
