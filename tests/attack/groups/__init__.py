"""The groups of cases, in the order of what they attack."""

from attack.groups import durations, labels, memory, models, names, one_liners, places, project_files, prompt_files, slides, special_files

GROUPS = (
    project_files.GROUP,
    places.GROUP,
    slides.GROUP,
    special_files.GROUP,
    memory.GROUP,
    durations.GROUP,
    prompt_files.GROUP,
    labels.GROUP,
    models.GROUP,
    names.GROUP,
    one_liners.GROUP,
)
