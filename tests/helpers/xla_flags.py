"""A flag of XLA that not every version knows, and that ends the process where it does not."""

from importlib.metadata import version


def fusion_emitters(on: bool) -> dict[str, bool]:
    """Turns XLA's fusion emitters on or off, which take over half of the time of compiling."""
    known = version("jaxlib").startswith("0.10.")
    return {"xla_cpu_use_fusion_emitters": on} if known else {}
