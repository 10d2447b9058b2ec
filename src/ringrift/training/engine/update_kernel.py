# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""What a step does to the weights of a tensor, in one pass over its memory, compiled."""

from __future__ import annotations

import math

from ringrift.rules.jitconf import rule


@rule
def move_weights(weight, gradient, first, second, average, numbers):
    """Scale the gradient, take a step of AdamW, clamp the weights, take them into their average.

    All are float32[N]; `first`, `second` are the moments. `numbers`: float32[10] at step t: scale of
    the gradient; rate * decay; rate / (1 - beta1^t); sqrt(1 - beta2^t); 1 - beta1; beta2;
    1 - beta2; epsilon; bound of the weights; what the average takes in. What is not a number stays so.
    """
    scale, decay, rate, root, fresh = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    old, new, least, bound, share = numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]
    for j in range(len(weight)):
        g = gradient[j] * scale
        m = first[j] + (g - first[j]) * fresh
        v = second[j] * old + (g * g) * new
        w = weight[j] - (weight[j] * decay + rate * m / (math.sqrt(v) / root + least))
        w = max(min(w, bound), -bound)
        gradient[j] = g
        first[j] = m
        second[j] = v
        weight[j] = w
        average[j] += (w - average[j]) * share
