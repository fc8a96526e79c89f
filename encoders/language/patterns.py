"""Regular expressions that lie in TOML files beside the code."""

import re
import tomllib
from importlib.resources import files


def patterns(
    name: str, flags: re.RegexFlag = re.NOFLAG, key: str = "patterns"
) -> tuple[re.Pattern[str], ...]:
    """Those of one list of the file of this name, in their order."""
    found = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(re.compile(pattern, flags) for pattern in found[key])
