"""
State of the simulator.

- `memory`: keys and nonces of requests that were applied
- `quota`: requests per second
- `journal`: every request and its decision
- `client_files`: keys and config of the test merchant
"""
