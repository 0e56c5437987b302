"""
Faults: what goes wrong, and for which requests.

- `fault`: one fault and its checks
- `fault_script`: faults from a TOML file
- `fault_injector`: picks the faults of each request
- `answer_signature`: the signature of an answer, right or spoilt by a fault
"""
