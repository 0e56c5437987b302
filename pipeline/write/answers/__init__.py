"""
The meaning of an answer: from a reply, or a lost one, to a verdict.

Read in this order:

1. `verdict`: the possible meanings.
2. `judge`: the entry point.
3. `diagnosis`: the condition of an answer.
4. `matrix/` and `catalogue`: the rules of the conditions.
5. `answer_content`, `sent_request`, `masking`: the facts that the rules read.

It may import `model` and `resources`. It has no effects.
"""
