"""Which pixel sizes are possible; options state these limits, so this module loads nothing."""

# um per px, whoever states it: a 100x oil lens with a fine camera, and a macro scan. Beyond it memory would not do.
SMALLEST_MPP, LARGEST_MPP = 0.05, 50.0
