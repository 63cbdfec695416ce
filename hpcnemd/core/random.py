"""Keys of the counter-based random numbers: the same numbers whatever the number of ranks.

Every stream is named by (seed, purpose, replica); a draw is addressed by (particle id, step). The generator itself, Philox4x32-10
(Salmon, Moraes, Dror, Shaw, SC11, 2011), is in `kernels.philox`."""
import numpy as np

PURPOSES = ("velocities", "langevin", "structure", "bootstrap", "protocol", "noise", "shuffle", "barostat")


def stream_key(seed, purpose, replica=0):
    """Two 32-bit words (uint32, uint32) for Philox. Raises ValueError for an unknown purpose."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose {purpose!r}: one of {PURPOSES}")
    words = np.random.SeedSequence([int(seed), PURPOSES.index(purpose), int(replica)]).generate_state(2, np.uint32)
    return np.uint32(words[0]), np.uint32(words[1])


def generator(seed, purpose, replica=0):
    """A numpy Generator on Philox for set-up work on one rank (never for what depends on the particle)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(seed), PURPOSES.index(purpose), int(replica)])))
