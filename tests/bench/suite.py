"""Every benchmark in its short form, one after another. Those that need arguments are left out and named, and
a failure keeps none of the others from running: at the end it is told which failed.
"""

import ast
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def needed(file: Path) -> list[str]:
    """The arguments without which a benchmark does not run, as its parser declares them."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [_name(call) for call in calls if _declares(call) and _is_needed(call)]


def run(folder: Path) -> int:
    """The status to exit with: 1 where a benchmark failed."""
    left, failed = [], []
    for file in sorted(folder.glob("bench_*.py")):
        if lacking := needed(file):
            left.append(f"{file.name} ({', '.join(lacking)})")
            continue
        print(f"== {file.name}", flush=True)
        status = subprocess.run([sys.executable, str(file)], check=False).returncode
        if status:
            failed.append(f"{file.name} ({status})")
    if left:
        print(f"left out, since they need arguments: {', '.join(left)}", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return int(bool(failed))


def _declares(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument" and bool(call.args)


def _name(call: ast.Call) -> str:
    return str(ast.literal_eval(call.args[0]))


def _is_needed(call: ast.Call) -> bool:
    told = {each.arg: each.value for each in call.keywords}
    if _name(call).startswith("-"):
        required = told.get("required")
        return required is not None and bool(ast.literal_eval(required))
    count = told.get("nargs")
    return count is None or ast.literal_eval(count) not in ("?", "*")


if __name__ == "__main__":
    sys.exit(run(FOLDER))
