"""How the threads behind NumPy's and PyTorch's arithmetic wait for each other."""

OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def wait_asleep(environment):
    """Let the OpenMP threads of a process sleep while they wait, unless its environment says how they are to wait.

    environment: `os.environ`, before torch is imported, or the environment of a process to be started. Threads that
    wait usually spin. That gains a little on an idle machine, and loses several times as much where a browser or an
    editor wants the same processors. `OMP_WAIT_POLICY` belongs to the OpenMP standard, so PyTorch's builds for Linux,
    macOS and Windows all read it. Whoever sets one of `OWN`, which also holds the names that single OpenMP runtimes
    have for this, keeps what he set.
    Provided.
    """
    if not any(environment.get(name) for name in OWN):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
