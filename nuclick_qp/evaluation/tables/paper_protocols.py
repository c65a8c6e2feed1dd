"""How our protocol differs from that of the paper, table by table."""

from collections.abc import Mapping

SHARED = (  # by all tables
    "All networks, NuClick's and its rivals', start from random weights, have the same factor on their published channel counts "
    "(*width*; the paper's NuClick has 1) and see the same number of patches (*samples*). In the paper NuClick trains for 200 epochs; how "
    "many patches these are, and how long its rivals train, is not said. Originals that start from ImageNet do not here: no such weights "
    "are at hand. Prompts are simulated from the truth, as in the paper: a user is less exact, and [Table 8](#table-8) moves the clicks. "
    "Distances are in px of the size in column *µm/px*; the paper names no resolution. NuClick's outlines are those of a run, through "
    "the code of `evaluate`, without test-time augmentation; what is smaller than 10 px is no nucleus, and in the paper what is "
    "smaller than 50 px. With `--budget quick` squares in the middle of a few images are looked at, by networks that have seen "
    "little: it shows that all works, and no more."
)

MONUSEG = (
    "The paper's Table 2 says validation set, and its section 4.1 that 16 of 30 images train: what is measured is the other 14, or a fifth "
    "of the 16. Here it is the official split: 30 images train, and 7 of the 14 official test images are measured, some of them of "
    "organs that no training image has. Labels are those that the official code makes."
)
CELLS = (
    "The library of 11,000 cells and the 2,689 images of the paper were not published with it. Here the cells and canvases are those of "
    "BCCD and segmentation_WBC set 1, with 10 to 30 touching cells in an image, as in section 4.1; what is measured is synthesised "
    "from test images, what is learned from training images."
)

DIFFERENCES: Mapping[int, str] = {
    1: f"{MONUSEG} U-Net, FCN-8 and SegNet take the place of NuClick's network, with the same five channels. Where a fourth "
    "multi-scale block sits the paper does not say; here it is in the one stage of the decoder that has none.",
    2: f"{MONUSEG} The classic methods stand there twice: with *the paper's settings*, those of section 4.5 and a common default where "
    "it states none; and with *fair settings*, those of the greatest mean AJI on a few training images, listed below the table.",
    3: f"{CELLS} The other two sets are test images as they are, mostly of one cell each: smears, "
    "and plasma cells of bone marrow (SegPC); the paper has no such rows.",
    4: "Of the 80 test images of GlaS 20 are measured, 15 of A and 5 of B; all 85 official training images train. F1 and object Dice are "
    "those of the GlaS challenge: a prediction counts where it covers half of a true gland, and Dice is weighted by area. By section "
    "4.3 the paper's F1 asks for an IoU, and its object Dice is a plain mean. Haus. is a plain mean over true glands in both. GrabCut "
    "is given the box, one of the two prompts that section 4.5 states, with the paper's settings and with fair ones (as in Table 2); the "
    "row *squiggle as well* has both prompts, more than any other method of the table, and stands beside the same figure of the paper.",
    5: "CPM is not at hand: TNBC and NuInsSeg, two other sets of nuclei in H&E, stand in its place, beside the same figures of the paper. "
    "What is measured are the test images of Table 2, TNBC of patients 09 to 11, and four organs of NuInsSeg. CRAG is not at hand either, "
    "nor another set of whole glands, so that the rows of glands cannot be made.",
    6: "The 42 fields of the paper were not published. LBC, public fields of liquid-based cytology that were scaled down, stands in their "
    "place; its pixel size is not stated, column *µm/px* has what is assumed. Of other public Pap smears (Herlev, ISBI 2015) the pixel "
    "size after rescaling is not known; they were left out.",
    7: "TNBC takes the place of CPM. How the paper makes objects, which SQ needs, of what an automatic network says of pixels is not told; "
    "here each connected part above 0.5 is one. The patches that students learn from lie round objects, as those of NuClick do, and show "
    "less ground than the whole images that they are measured on. Differences are to the same network that learned from the truth. "
    "Learning curves are measured against what is learned: those of masks by NuClick against such masks. They do not show "
    "which of the two is better.",
    8: "sigma is the standard deviation of a normal draw in x and in y; whether the paper means that, or a step of this length, is open. "
    "A click that would leave its object is drawn anew, as a user would look; the paper supposes that some of its clicks leave, at 10 px "
    "in nuclei and 50 px in cells, and explains its fall there by them. Differences are to the clicks on centroids of Tables 2 and 3. A "
    "pixel is not what it is in the paper, whose white blood cells are 80 px wide at least; see column *µm/px*.",
    9: f"{MONUSEG} *Trained without*: from scratch with four channels, as in the paper. *Left empty*: the network with the map, whose user "
    "shows it no other click; the paper has no such row.",
}
