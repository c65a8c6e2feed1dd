"""Hostile files against the command line: no traceback, no hang, nothing outside the folder, bounded memory.

Each case makes files in an empty folder and runs `nuclick-qp` there, in a process of its own that is watched.
Whatever the files are, the command has to end by itself within 20 s, with one of its own exit codes, without a
traceback, without a byte written outside the folder, within 2 GB of memory and 100 kB of output.

    PYTHONPATH=tests python -m attack                            # the fixed cases of all groups
    PYTHONPATH=tests python -m attack --mutated 2000 --seed 7    # and so many of mutated files
    PYTHONPATH=tests python -m attack --only 21 --keep /tmp/a    # one group; the folders of cases that failed stay

`tests/test_attack.py` runs the cases with `is_quick`, and a few of mutated files. **A new group** is a module in `groups/` that holds
`GROUP = Group(title, fixed, mutated)`, and a line in `groups/__init__.py`:

- `fixed` gives its cases. `Case(name, make, commands)`: `make(folder)` fills the folder (`scenes` has good
  projects and images to be spoiled), each command is the words behind `nuclick-qp`, run in that folder one after
  the other; ``{folder}`` and ``{outside}`` in a word stand for absolute paths. `outside` lies beside the folder
  and holds files that must not change, to be aimed at by links and names; so does `home`, the HOME of commands.
- `mutated(rng)` gives one random case, or is None; the same seed gives the same case.
- `check(folder, runs)` of a case may say what else is wrong: a text, or None.

Linux only: processes are forked, with all modules loaded, so that a case costs a tenth of a second. Commands run
without the administrator's right to pass over the modes of files, whoever starts the attack.
"""
