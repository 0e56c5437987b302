"""
The meaning of an answer: from a reply, or a lost one, to a verdict.

Read in this order: `verdict` (the possible meanings), `judge` (the entry point), `diagnosis` (which condition an answer
is in), `matrix/` and `catalogue` (the rules of each condition), then `answer_content`, `sent_request` and `masking`.

It may import `model` only. It has no effects.
"""
