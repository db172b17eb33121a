"""Grading a class: strangers' notebooks in, right scores and useful feedback out. `mmteach grade` is its front.

| module                    | what is in it                                                                         |
|---------------------------|-----------------------------------------------------------------------------------------|
| `sandbox`                 | the layers around a student's code, the levels, the threat model                          |
| `landlock` `seccomp` `syscalls` | what the kernel offers for it                                                       |
| `server` `child` `client` | the warm process, what it forks, and who asks it; `frames`: their messages                |
| `assignment` `notebook` `matching` | what is asked, what was handed in, which cell is which                           |
| `oracle` `guarded`        | who decides: the parent on values; or foreign assert cells, labelled                      |
| `grade`                   | one submission: bytes in, result out                                                  |
| `submissions`             | nbgrader's tree, a flat folder, a zip from an LMS                                          |
| `gradebook`               | SQLite: nothing lost, the same bytes again                                             |
| `batch` `cluster`         | a class on one machine, or on several                                                 |
| `tables` `pages` `alike`  | grades for LMS and Gradescope; feedback and class report; submissions that look the same |
| `provisioner`             | kernels from a warm process, for Jupyter                                              |
"""
