"""How the work of a rank's pair list and mesh is spread over space, in whole numbers, so that sums over ranks are exact."""
from . import njit


@njit(cache=True, error_model="numpy")
def add_work(position, slot_row, clusters, groups, pointer, entry, particle, per_length, histogram):
    """histogram (3, bins) int64 += the work of the listed clusters of 4 (`pointer`, `slot_row`: the list's), by the coordinates of their particles.

    The `entry` units of each list entry are shared by the particles of its cluster, each of which takes `particle` units of its own. per_length (3,): bins per
    angstrom; a coordinate outside the box counts where its image lies. Returns the sum."""
    bins = histogram.shape[1]
    total = 0
    for c in range(clusters):
        count = 0
        for lane in range(4):
            count += slot_row[4 * c + lane] >= 0
        if count == 0:
            continue
        share = entry * (pointer[(c + 1) * groups] - pointer[c * groups]) // count + particle
        for lane in range(4):
            row = slot_row[4 * c + lane]
            if row >= 0:
                total += share
                for axis in range(3):
                    histogram[axis, int(position[row, axis] * per_length[axis] // 1) % bins] += share
    return total
