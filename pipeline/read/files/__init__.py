"""
One input file as stored.

`source_file` names it and notices changes. `name_hint` reads its name, `content` its first bytes. `compressed`
decompresses and hashes. `bounds` limits memory, `interruptible` keeps Ctrl-C working. It imports no other room of
`read`.
"""
