"""Where the paper is ambiguous, or contradicts itself: what it says and where, and what is done here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One place of the paper, and how it is read.

    Attributes
    ----------
    source
        Section, equation or table, with a word or two as they stand there.
    problem
        What is wrong with it, or open.
    here
        What is done here.
    """

    source: str
    problem: str
    here: str


READINGS = (
    Reading(
        "Section 3.2, eq. 1, first term",
        "The Dice term lacks the factor 2 of the numerator: of a perfect mask it is 1/2, not 0. Its gradient is half of the usual one, so "
        "that it weighs less against the cross entropy.",
        "The usual soft Dice loss, 0 for a perfect mask.",
    ),
    Reading(
        "Section 3.2, W = α²G + αG̃ + 1, “max{ΣG̃/ΣG, 1}”",
        "α has no upper bound: in a crowded patch α² passes 100, and pixels of the wanted object outweigh all else. G̃ is called the "
        "complement of G, and described as the mask of the other objects; background, in neither, weighs 1.",
        "G̃ is the mask of the other objects. The sum is as printed, with the maximum outside of the quotient; `max_ratio` bounds α, "
        "by 1 unless a configuration says otherwise.",
    ),
    Reading(
        "Section 4.3, DQ “F1-Score divided by 2”",
        "Then DQ could not exceed 0.5, and Table 9 has 0.999. PQ = DQ × SQ gives the figures of Tables 6 and 9 only if DQ is F1.",
        "DQ is F1.",
    ),
    Reading(
        "Section 4.3, true positives “IoU is higher than 0.5”; Tables 3 and 7, SQ",
        "SQ is then the mean of figures above 0.5, and Table 3 has 0.414 and 0.431, Table 7 0.453 and 0.459. Such means "
        "arise only where images without any match count as 0.",
        "SQ of an image without a match is 0, and goes into the mean.",
    ),
    Reading(
        "Section 4.3, AJI and Dice “based on the pixel value”; Tables 1, 2, 6, 8 and 9",
        "In no image can AJI exceed the Jaccard index of the foreground, which is D/(2 − D) for its Dice D. Eleven rows do, "
        "FCN most: AJI .741, D .798, D/(2 − D) .664. Spread between images does not explain that, so Dice or AJI is another one than "
        "the section describes.",
        "Dice of the foreground, AJI of Kumar et al. 2017; gaps between the two columns are not comparable with the paper's.",
    ),
    Reading(
        "Section 4.3, Haus. “calculated per object”; Table 4",
        "No word on the resolution, nor on objects without a partner. For glands it is that of nuclei, and the reference given "
        "weighs by area.",
        "Mean over true objects of the distance to the partner, in px of the published image; for an object that nothing touches, to the "
        "nearest prediction.",
    ),
    Reading(
        "Section 4.3, F1 of glands, “thresholded IoU”",
        "The challenge that is cited counts a prediction that covers half of a true gland, whatever its IoU.",
        "The rule of the challenge.",
    ),
    Reading(
        "Section 3.2, “three different levels”, against Table 1, “+ 4 MS blocks”",
        "Fig. 2 has three multi-scale blocks; where the fourth sits, and which of the three stand in the rows with 1 and 2, "
        "is described nowhere.",
        "Blocks are added in the order of Fig. 2; the fourth sits in the one stage of the decoder that has none, like the second.",
    ),
    Reading(
        "Section 4.1, “16 images”, against the captions of Tables 2 and 9, “validation set”",
        "30 images, 16 of them for training, a fifth of these for validation: the validation set is 14 images or 3. Section 5.1 calls it "
        "testing set, Table 7 test set.",
        "7 of the 14 official test images of MoNuSeg. No choice in these tables was made on them.",
    ),
    Reading(
        "Section 4.5, GrabCut: “bounding box”, and “the same” markers “as … for NuClick”",
        "Two prompts for one method. Outside of a box nothing is found, so that 290 px in Haus. are hard to reach from one.",
        "The box, and in a row of its own the box with the squiggle.",
    ),
    Reading(
        "Section 4.5, watershed, “GT mask centroids as seed points”",
        "No marker for the background is named. A watershed without one fills the image, and Dice .402 with Haus. 125 are what that gives.",
        "No such marker with the paper's settings; fair settings may take Otsu's threshold for one.",
    ),
    Reading(
        "Section 4.5, region growing “30 iterations”, active contour “radius 3 pixels”",
        "Neither when a pixel belongs to a region, nor how long a contour moves, is said; both decide.",
        "Common defaults with the paper's settings, named in the code beside each field.",
    ),
    Reading(
        "Section 4.5, iFCN and LD: one click inside, one “random point outside”",
        "NuClick is shown the clicks on all other objects, its rivals one point that may lie on background: its lead is, in part, "
        "that of more clicks. Where every nucleus is clicked the user pays nothing for them.",
        "As the paper says. How much the other clicks are worth to NuClick itself is in Table 9.",
    ),
    Reading(
        "Section 3.3.1, “we can disturb” clicks by 2 pixels",
        "Whether the tables were made with this averaging is not said.",
        "Without it.",
    ),
    Reading(
        "Section 5.4, “adding value of σ”",
        "A step of length σ, of σ in x and y, or a normal draw. At 10 px some clicks may leave their nuclei, the paper says.",
        "A normal draw of standard deviation σ in x and in y.",
    ),
    Reading(
        "Section 4.2, “200 epochs”",
        "What an epoch is, in patches, is not said, nor how rivals were trained.",
        "Samples: patches that were shown, the same number for all networks of a table.",
    ),
)
