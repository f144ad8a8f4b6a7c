"""Hold the parts that all methods share. Read in this order.

targets         the number that is explained: of logits, of a position; how a target is written
taps            features of a network: `forward(image, taps) -> (score, ends)`
batch           `batched`: from one example to many
loops           chunks of samples and of examples, counted in items or in bytes
programs        compiled programs that never answer with old weights
jaxprs          a traced computation: its identity, its work, its memory
baselines       the image without evidence
segments        patches of an image, and masks that keep some of them
postprocess     from a raw map to one that can be compared
"""
