"""Every constant that steers the solvers: how they go about it, never what is true of the result.

Tolerances and allowances for rounding stand where they are proved; the few of compiled loops stand in
`kernels`, whose cache on disk knows its own file alone. Read as ``steering.NAME``, so that they can be tried.

Measured (``python benchmarks/convex_constants.py``: fourteen small problems, in pairs, beside other
work): no constant halved or doubled changes an objective beyond rounding, and 113 of 124 mean times stay
within 10%; nothing hangs on a figure. Those that these problems do not read (SHORT, FACE_STEPS,
SPLIT_ROUNDS, LARGEST_PROGRAMME, the probes) and limits that are not met stand by reasoning, or by the
figures beside them.
"""

# ---- which columns come in

# So few columns are worth float64, a pass over X and a Gram matrix of all.
MANY_COLUMNS = 500
# Columns taken in the first round.
FIRST_ROUND = 64
# Columns for one more pass over X: a pass costs about GROWTH n_features / size new columns of the Gram
# matrix, but no more than a share of what is there already, or some come in that the next round would not
# want.
GROWTH = 30.0
GROWTH_SHARE = 0.5
# New columns in a round that looks for moves of single coordinates, and columns asked for such a move.
FEW = 32
# Between two passes over X only columns whose gradient exceeds this share of their weight are looked at, so
# often at most, and at most this share of all columns: beyond it a pass over X is hardly dearer.
NEAR = 0.5
NEAR_SHARE = 0.1
LOOKS = 20
# A zero whose gradient is below this share of its weight is dropped, where that many of the working set
# are.
PRUNED = 0.9
PRUNED_SHARE = 0.1

# ---- which model

# Sparse columns are descended upon one by one where those that enter first have fewer entries than this, or
# than this share of n_features: else moves on a Gram matrix are cheaper (the words that tell news20's
# classes apart are in thousands of rows: 0.3 of the time).
LARGEST_COLUMN = 100
LARGEST_COLUMN_SHARE = 1.0 / 200.0
# Columns up to which least squares with a straight penalty is solved on the moments of all of them: on a
# path, and alone. Below a share of the loss at zero the loss found from moments has lost too many digits.
MOMENTS = 100
MOMENTS_ALONE = 20
SMALLEST_LOSS = 1e-2
# Least curvature of a model of a loss, of the slope over the size of the predictor: a wrong label at a
# large margin has a slope without curvature. The intercept's Newton step goes this far at most, relative to
# its size.
STRAIGHT = 1e-2
FARTHEST_STEP = 10.0

# ---- steps on a model

# Passes of descent at most; on a model bent by the penalty, which may not be convex.
EPOCHS = 10_000
BENT_EPOCHS = 8
# The bend of a penalty takes away this share of a coordinate's curvature at most; where that cuts the bend
# of more than this share of the coordinates, the model is hardly convex.
LARGEST_BEND = 0.9
STEEP_SHARE = 0.1
# Epochs of block descent between two Newton steps on groups, and such rounds.
GROUP_EPOCHS = 10
GROUP_ROUNDS = 200
# Reweighting steps on one model before the gradient is made anew.
MODEL_STEPS = 50
# Steps in which the stationarity must fall by a tenth, where the objective falls no more.
SLOW = 20

# ---- starts

# Duality gap of the l1 start, of the data fit at zero.
START_GAP = 1e-6
# Stationarity of the rough l1 start, of the weights of l1, and its steps at most.
ROUGH = 0.3
ROUGH_STEPS = 100
# Where rounding alone may be this share of the largest gradient at zero, "stationary" says little.
JUDGED = 1e-3
# Columns among which the lam is looked for at which a path leaves zero by a jump.
LEADING = 200

# ---- the local search for better minima

# Work of a whole run over that of the way to the first stationary point, estimated: with 5 log-sum on 500 x
# 5000 ends 0.5% higher than without a limit, in 0.7 of the time; MCP on short sparse columns, 2000 x
# 10,000, at 0.0115 in place of 0.0045 (a peer: 0.0152), in less than a tenth of the time.
REFINING = 5.0
# What the numpy calls of one round, or one look at all single moves, cost in multiply-adds.
ROUND = 1e6
# Gains below this share of the objective do not count.
SMALLEST_GAIN = 1e-7
# Removals weighed at once, the largest support they are weighed for, and moves between two reweightings.
REMOVALS = 32
LARGEST_SUPPORT = 400
MOVES = 8

# ---- products, threads and memory

# Multiply-adds from which a product gains more from threads than waiting for a busy core costs; each entry
# of a product with a vector, which waits for memory, counts as so many.
LARGE_PRODUCT = 1 << 30
MEMORY = 16.0
# Up to this many rows a vector stays in the nearest cache, and one dot product a column beats BLAS.
SHORT = 2048
# Columns for which room is made at first (address space alone).
FIRST_CAPACITY = 1024
# Working columns are kept side by side, scratch memory between solves, and a Gram matrix made for a search
# around sparse columns, up to this size; else rows are gone through in parts of about that.
KEPT_BYTES = 1 << 26
PART_BYTES = 1 << 22
# Smaller scratch arrays are asked of the system; a buffer this many times too large is left for others.
SMALLEST_BYTES = 1 << 17
LARGEST_EXCESS = 4

# ---- branch and bound; figures: nodes of 25 small problems (masks, signed, groups; geometric mean 61.4)

# An interval is split between its middle and the relaxation's solution: 64.7 at the middle, 64.3 at the
# solution; at least a tenth from either end: 61.5 with a fiftieth, 61.1 with a fifth.
TOWARDS_SOLUTION = 0.5
SMALLEST_SHARE = 0.1
# Duality gap of a node, as a share of what its bound lacked before: 61.6 with a tenth of it, 63.5 with 0.3.
COARSENESS = 0.02
# A node is bound again, so many times at most (if it cannot be split), where less than a share of what its
# bound lacks is the distance of the envelope from the penalty: then its box has shrunk since, or the bound
# was coarse. 61.6 with a share of 0.1, 60.9 with 0.9; 63.4 if never bound again.
EXPLAINED = 0.5
REPEATS = 3
REPEATS_UNSPLIT = 30
# A box is given up where its bound is not far off, and rounding accounts for this share of what it lacks.
LOST = 0.2
# The curvature is computed anew where fewer than this share of the coordinates are still free: 65.8 nodes
# with 0.5, 58.2 with 0.95, each dearer.
STILL_FREE = 0.8
# The root is stated anew on the coordinates still free once this share of them, or less, is left.
WORTH_REDUCING = 0.7
# Coordinates up to which a Gram matrix is formed (32 MB).
LARGEST_GRAM = 2000
# Passes of coordinate descent a node (Newton steps between them end most after a few); exact steps on faces
# then.
NODE_EPOCHS = 1000
FACE_STEPS = 30
# After so many relaxations a search is hard: it looks ahead and probes. Columns looked at before a split,
# by distance and by size, and the duality gap of their halves, of what the bound lacks.
HARD = 8000
LOOKED_AT = 12
LOOK_GAP = 0.05
# Probes: cycles at most; ends in one call; their duality gap, of what the bound lacks. An end begins at
# this share of the way at first, nearer after one that was cut off, farther after one that was not. A box
# gives way if its bound lacks less, or it is narrower, by a share in a cycle. Ends narrower than a share of
# the problem's box are left alone.
PROBE_CYCLES = 15
PROBED_AT_ONCE = 48
PROBE_GAP = 0.4
FIRST_END, NEXT_END, LAST_END = 0.6, 0.4, 0.9
YIELDING = 0.03
NARROW = 3e-4
# Stationarity, relative to the largest gradient, and steps of local searches for a better point.
LOCAL_TOLERANCE = 1e-9
LOCAL_STEPS = 50

# ---- certificates

# Features up to which T20 is evaluated, and its curvature split among them by rounds (an SVD each); entries
# of X up to which it is tried, as it needs a dense copy.
SEPARABLE_LIMIT = 2000
SPLIT_LIMIT = 300
SPLIT_ROUNDS = 40
SEPARABLE_ENTRIES = 2_000_000
# Gap of the envelope's convex problem, of the objective.
ENVELOPE_GAP = 1e-6
# A fit whose margins stay below this is no diverging one; entries of the linear programme that looks for
# separation with ties.
SUSPICIOUS = 5.0
LARGEST_PROGRAMME = 1_000_000
