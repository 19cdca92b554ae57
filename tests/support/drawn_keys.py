"""Keys that draw a given number: the other way round than `curation.key_draws.key_draw`."""

from curation.key_draws import key_draw, mixed

_WRAP = 2**64


def key_that_draws(draw, seed, number=0):
    """A key for which `key_draw(key, seed)` is this number, in 53 bits; of each number another one."""
    key = f"{_unmixed(int(draw * 2**53) << 11) ^ mixed(seed):016x}{number:016x}"
    assert key_draw(key, seed) == int(draw * 2**53) / 2**53
    return key


def _unmixed(value):
    value = _unshifted(value, 31) * pow(0x94D049BB133111EB, -1, _WRAP) % _WRAP
    value = _unshifted(value, 27) * pow(0xBF58476D1CE4E5B9, -1, _WRAP) % _WRAP
    return (_unshifted(value, 30) - 0x9E3779B97F4A7C15) % _WRAP


def _unshifted(value, bits):
    """What gives the value when it is combined with itself, shifted right by so many bits."""
    found = value
    for _ in range(64 // bits):
        found = value ^ (found >> bits)
    return found
