"""Session effects: by how much a user's ratings at about the same time exceed their expectation."""

from reelated._kernels.compiling import tight


@tight
def sitting_shifts(surprises, times, users, items, moments, span, prior, out):
    """Write for each pair Σ w e / (prior + Σ w) over the row's other ratings, ``w = 1 / (1 + |t − t_j| / span)``.

    Cost: the ratings of the row for each pair.
    """
    for at in range(len(users)):
        total, weight = 0.0, prior
        for p in range(surprises.indptr[users[at]], surprises.indptr[users[at] + 1]):
            if surprises.indices[p] != items[at]:
                near = 1.0 / (1.0 + abs(moments[at] - times[p]) / span)
                total += near * surprises.data[p]
                weight += near
        out[at] = total / weight
