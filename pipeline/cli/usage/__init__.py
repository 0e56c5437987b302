"""
What helps to write a command.

- `examples`: examples of each command, for its help
- `argument_parser`: the parser of a command line, in the chosen language
- `guide`: parser and formatter whose errors name what was probably meant, and whose help keeps examples
- `completion`: completion of the command line, and the scripts that shells need for it
"""
