"""``minicnn`` and ``python -m minicnn``: the command line."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line, and return its exit status. Where click is missing, say so in one line."""
    try:
        from minicnn import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from minicnn.install import install_command

        print(f"minicnn: error: click is not installed: {install_command()}", file=sys.stderr)
        return 2
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
